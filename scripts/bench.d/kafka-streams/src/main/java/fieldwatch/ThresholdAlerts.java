package fieldwatch;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.LongAdder;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.util.Utf8;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Thresholds with hysteresis over keyed state, exactly once: what temperature-alert is measured against. It decides less than
 * the service does: no duplicates, no late readings; its alerts are one short line each. State is written only when an alert
 * changes, so it has the least changelog there can be.
 *
 * Arguments: brokers, input topic, output topic, application id, schema file, state folder, rocksdb|memory, threads,
 * then the rules as above:clear. Prints `consumed N` every 20 ms.
 */
public final class ThresholdAlerts {
    private static final String STORE = "firing";
    private static final LongAdder CONSUMED = new LongAdder();

    public static void main(String[] arguments) throws Exception {
        var schema = new Schema.Parser().parse(Path.of(arguments[4]).toFile());
        var threads = Integer.parseInt(arguments[7]);
        var rules = new double[arguments.length - 8][];
        for (int rule = 0; rule < rules.length; rule++) {
            var limits = arguments[8 + rule].split(":");
            rules[rule] = new double[] {Double.parseDouble(limits[0]), Double.parseDouble(limits[1])};
        }
        var store = arguments[6].equals("memory") ? Stores.inMemoryKeyValueStore(STORE) : Stores.persistentKeyValueStore(STORE);
        var topology = new Topology()
            .addSource("readings", new StringDeserializer(), new ReadingDeserializer(schema), arguments[1])
            .addProcessor("rules", () -> new Rules(rules), "readings")
            // Cached, as the DSL does it: a key's state is read from RocksDB once, and changes go to it once a commit.
            .addStateStore(Stores.keyValueStoreBuilder(store, Serdes.String(), Serdes.Integer()).withCachingEnabled(), "rules")
            .addSink("alerts", arguments[2], new StringSerializer(), new StringSerializer(), "rules");
        var streams = new KafkaStreams(topology, settings(arguments[0], arguments[3], arguments[5], threads));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(20))));
        streams.start();
        // A thread that fails ends the program, and so the benchmark.
        for (long last = 0; streams.state() != KafkaStreams.State.ERROR; Thread.sleep(20)) {
            var consumed = CONSUMED.sum();
            if (consumed != last) {
                System.out.println("consumed " + consumed);
                last = consumed;
            }
        }
    }

    private static Properties settings(String brokers, String application, String folder, int threads) {
        var settings = new Properties();
        settings.putAll(Map.of(
            StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers,
            StreamsConfig.APPLICATION_ID_CONFIG, application,
            StreamsConfig.STATE_DIR_CONFIG, folder,
            StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2,
            StreamsConfig.NUM_STREAM_THREADS_CONFIG, threads,
            // All keys of the benchmark fit, so RocksDB is asked once a key.
            StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64 << 20,
            // The default of 1,000 pauses and resumes partitions all the time when catching up.
            StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000));
        // Larger polls and fetches than the defaults (500 records, 1 MiB a partition): fewer turns when catching up.
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5_000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 4 << 20);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
        return settings;
    }

    /** Magic byte and schema id are passed over: the benchmark has one schema. All threads share it. */
    private static final class ReadingDeserializer implements Deserializer<GenericRecord> {
        private final GenericDatumReader<GenericRecord> reader;
        private final ThreadLocal<BinaryDecoder> decoder = new ThreadLocal<>();

        ReadingDeserializer(Schema schema) {
            reader = new GenericDatumReader<>(schema);
        }

        @Override
        public GenericRecord deserialize(String topic, byte[] value) {
            var body = DecoderFactory.get().binaryDecoder(value, 5, value.length - 5, decoder.get());
            decoder.set(body);
            try {
                return reader.read(null, body);
            } catch (IOException unreadable) {
                throw new UncheckedIOException(unreadable);
            }
        }
    }

    /** A device's state is one bit a rule: whether it fires. */
    private static final class Rules implements Processor<String, GenericRecord, String, String> {
        private static final Utf8 TEMPERATURE = new Utf8("temperature");
        private final double[][] rules;
        private ProcessorContext<String, String> context;
        private KeyValueStore<String, Integer> store;
        private int metric;
        private int value;

        Rules(double[][] rules) {
            this.rules = rules;
        }

        @Override
        public void init(ProcessorContext<String, String> context) {
            this.context = context;
            store = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<String, GenericRecord> record) {
            CONSUMED.increment();
            var reading = record.value();
            if (metric == value) {
                metric = reading.getSchema().getField("metric").pos();
                value = reading.getSchema().getField("value").pos();
            }
            if (!TEMPERATURE.equals(reading.get(metric))) {
                return;
            }
            var celsius = (double) reading.get(value);
            var known = store.get(record.key());
            int before = known == null ? 0 : known;
            int firing = before;
            for (int rule = 0; rule < rules.length; rule++) {
                boolean fires = (before >> rule & 1) == 1;
                if (!fires && celsius > rules[rule][0] || fires && celsius <= rules[rule][1]) {
                    firing ^= 1 << rule;
                    context.forward(record.withValue(rule + (fires ? " RESOLVED " : " FIRING ") + celsius));
                }
            }
            if (firing != before) {
                store.put(record.key(), firing);
            }
        }
    }
}
