# Counts what racecheck reports, and fails when it is anything but reads of a stage of combine's ring and the one copy into
# it. The tool begins a report with the access that the others race with: the read where there is one read, else the copy.
BEGIN {
  copy = "Write access at void epgen::bulk_load<"
  vector = "Read access at epgen::Vec16 epgen::ld_vec16<[(]epgen::Space[)]2, unsigned char>"
  scale = "Read access at std::remove_const<T2>::type epgen::ld<[(]epgen::Space[)]2, float>"
}

function end_of_report() {
  if (accesses == "") return
  if (accesses == "vector copy" || accesses == "copy scale vector" || accesses == "copy vector scale") ring++
  else others++
  accesses = ""
}

function add(name) { accesses = accesses == "" ? name : accesses " " name }

/Race reported between/ { end_of_report() }
/(Read|Write) access at/ { add($0 ~ copy ? "copy" : $0 ~ vector ? "vector" : $0 ~ scale ? "scale" : "other") }

END {
  end_of_report()
  printf "racecheck: %d reports of combine's ring, %d others\n", ring, others
  exit others != 0
}
