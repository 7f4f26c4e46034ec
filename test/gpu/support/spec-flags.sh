# Sourced by builds of programs for one spec: what cast.cuh has to know of the spec, as options for nvcc.

# spec_flags <generated folder>
spec_flags() {
  local ll
  ll=$(tr -d ' \n' <"$1/spec.json" | sed -n 's/.*"ll":{\([^}]*\)}.*/\1/p')
  asks() { if grep -Eq "$2" <<<"$ll"; then echo "-D$1=1"; else echo "-D$1=0"; fi; }
  echo "-DEPGEN_SPEC=$(sed -n 's/^namespace epgen::\([a-z0-9_]*\) {$/\1/p' "$1/layout.cuh" | head -1)"
  asks EPGEN_LL_FP8 '"dtype":"fp8_e4m3"'
  asks EPGEN_LL_COMBINE_FP8 '"combineDtype":"fp8_e4m3"'
  asks EPGEN_LL_ROUNDS_SCALES '"roundScales":true|"scaleDtype":"ue8m0"'
  asks EPGEN_LL_PACKS_SCALES '"scaleDtype":"ue8m0"'
  asks EPGEN_LL_SCALE_COLUMNS '"scaleLayout":"column"'
}
