# temperature-alert beside a bare consumer and Kafka Streams: readings/s, CPU, latency, state traffic, restore

bench() {
  local project=$BENCHES/kafka-streams output=$ROOT/target/bench/kafka-streams java
  java=$(find_java 17) || die "Kafka Streams needs Java 17 or newer"
  build temperature-alert
  mvn -B -q -Dstyle.color=never -f "$project/pom.xml" -Doutput="$output" -DincludeScope=runtime -DoutputDirectory="$output/libs" \
    compile dependency:copy-dependencies >&2 || die "the Kafka Streams program could not be built"
  measure alert --java "$java" --kafka-streams "$output" --kafka-log "$DATA/kafka/log" "$@"
}
