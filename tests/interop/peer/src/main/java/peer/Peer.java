package peer;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import nl.clockwork.ebms.MainConfig;
import org.springframework.core.env.MapPropertySource;
import org.springframework.web.context.support.AnnotationConfigWebApplicationContext;

/**
 * The reference adapter, headless: its ebMS endpoint on a port of this machine, an embedded database, and commands as
 * JSON lines on standard input. Started as {@code java peer.Peer SETTINGS}, where SETTINGS is a JSON file.
 */
public final class Peer {
  private Peer() {}

  public static void main(String[] arguments) throws Exception {
    long began = System.currentTimeMillis();
    // libraries that print must not disturb the lines of the control interface
    var lines = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
    System.setOut(System.err);
    var settings = new ObjectMapper().readValue(Path.of(arguments[0]).toFile(), Settings.class);
    try (var context = context(settings)) {
      var endpoint = new Endpoint(settings, context);
      endpoint.start();
      try (var control = new Control(context, endpoint, lines)) {
        long milliseconds = System.currentTimeMillis() - began;
        control.say(Map.of("ready", true, "port", settings.port(), "milliseconds", milliseconds));
        control.run(System.in);
      }
      endpoint.stop();
    }
    // the peer's task threads are no daemons and know no end
    System.exit(0);
  }

  private static AnnotationConfigWebApplicationContext context(Settings settings) {
    var context = new AnnotationConfigWebApplicationContext();
    context.getEnvironment().getPropertySources().addFirst(new MapPropertySource("peer", properties(settings)));
    context.register(MainConfig.class);
    context.setServletContext(Endpoint.newServletContext());
    context.refresh();
    return context;
  }

  private static Map<String, Object> properties(Settings settings) {
    var found = new LinkedHashMap<String, Object>();
    found.put("ebms.jdbc.driverClassName", "org.h2.Driver");
    found.put("ebms.jdbc.url", "jdbc:h2:file:" + settings.directory() + "/database");
    found.put("ebms.jdbc.update", "true");
    found.put("ebms.pool.minPoolSize", "4");
    found.put("eventListener.type", "DAO");
    found.put("deliveryTaskHandler.default.executionInterval", "200");
    found.put("ebmsMessage.attachment.outputDirectory", settings.directory());
    if (settings.keystore() != null) {
      for (var use : new String[] {"client", "signature", "encryption"}) {
        found.put(use + ".keystore.path", settings.keystore());
        found.put(use + ".keystore.password", settings.password());
      }
      found.put("truststore.path", settings.truststore());
      found.put("truststore.password", settings.password());
      found.put("https.useClientCertificate", "true");
    }
    found.putAll(settings.properties());
    return found;
  }
}
