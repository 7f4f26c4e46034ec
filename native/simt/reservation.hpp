// Address space that becomes memory when it is touched.
#pragma once

#include <cstddef>
#include <cstdint>

namespace epgen::simt {

/// `bytes` of zeroed, page-aligned memory that costs nothing until it is touched. Never cleared as a whole.
class Reservation {
public:
    Reservation() = default;
    /// Throws std::bad_alloc when the address space is refused.
    explicit Reservation(uint64_t bytes);
    ~Reservation();
    Reservation(Reservation&& other) noexcept;
    Reservation& operator=(Reservation&& other) noexcept;

    std::byte* data() const { return data_; }
    uint64_t size() const { return size_; }

private:
    std::byte* data_ = nullptr;
    uint64_t size_ = 0;
};

}  // namespace epgen::simt
