package peer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import javax.activation.DataHandler;
import nl.clockwork.ebms.cpa.CPAService;
import nl.clockwork.ebms.service.EbMSMessageServiceMTOM;
import nl.clockwork.ebms.service.model.MTOMDataSource;
import nl.clockwork.ebms.service.model.MTOMMessageRequest;
import nl.clockwork.ebms.service.model.MessageRequestProperties;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.ApplicationContext;

/**
 * The commands of a test: a line {@code {"id", "command", …}} in, a line {@code {"id", "result"}} or
 * {@code {"id", "error"}} out. Commands run beside each other; the end of the input ends the peer.
 */
final class Control implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Control.class);

  private final ObjectMapper json = new ObjectMapper();
  private final ExecutorService workers = Executors.newFixedThreadPool(8);
  private final CPAService agreements;
  private final EbMSMessageServiceMTOM messages;
  private final Ledger ledger;
  private final Endpoint endpoint;
  private final PrintStream out;

  Control(ApplicationContext context, Endpoint endpoint, PrintStream out) {
    this.agreements = context.getBean(CPAService.class);
    this.messages = context.getBean(EbMSMessageServiceMTOM.class);
    this.ledger = new Ledger(context.getBean(javax.sql.DataSource.class));
    this.endpoint = endpoint;
    this.out = out;
  }

  void run(InputStream in) throws IOException {
    var reader = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
    for (var line = reader.readLine(); line != null; line = reader.readLine()) {
      var request = json.readTree(line);
      if (request.path("command").asText().equals("shutdown")) {
        return;
      }
      workers.execute(() -> answer(request));
    }
  }

  @Override
  public void close() {
    workers.shutdownNow();
  }

  synchronized void say(Map<String, ?> line) throws IOException {
    out.println(json.writeValueAsString(line));
  }

  private void answer(JsonNode request) {
    var reply = new LinkedHashMap<String, Object>();
    reply.put("id", request.path("id").asInt());
    try {
      try {
        reply.put("result", execute(request));
      } catch (Exception problem) {
        LOG.warn("command {} failed", request, problem);
        reply.put("error", problem.toString());
      }
      say(reply);
    } catch (IOException problem) {
      LOG.error("no answer can be given", problem);
    }
  }

  private Object execute(JsonNode request) throws Exception {
    var messageId = text(request, "message_id");
    return switch (text(request, "command")) {
      case "insert_cpa" -> agreements.insertCPA(Files.readString(Path.of(text(request, "path"))), true);
      case "send" -> send(request);
      case "ping" -> ping(request);
      case "status" -> ledger.status(messageId);
      case "partner_status" -> messages.getMessageStatus(messageId).getStatus().name();
      case "messages" -> ledger.messages();
      case "unprocessed" -> messages.getUnprocessedMessageIds(null, null);
      case "process" -> process(messageId);
      case "fetch" -> fetch(messageId, Path.of(text(request, "directory")));
      case "envelope" -> ledger.envelope(messageId);
      case "events" -> ledger.events();
      case "attempts" -> ledger.attempts(messageId);
      case "requests" -> endpoint.requests();
      case "refuse" -> refuse(request);
      default -> throw new IllegalArgumentException("no such command");
    };
  }

  private String send(JsonNode request) throws Exception {
    var properties = new MessageRequestProperties();
    properties.setCpaId(text(request, "cpa_id"));
    properties.setFromPartyId(text(request, "from"));
    properties.setFromRole(text(request, "from_role"));
    properties.setToPartyId(text(request, "to"));
    properties.setToRole(text(request, "to_role"));
    properties.setService(text(request, "service"));
    properties.setAction(text(request, "action"));
    properties.setConversationId(text(request, "conversation_id"));
    properties.setRefToMessageId(text(request, "ref_to_message_id"));
    var payloads = new ArrayList<MTOMDataSource>();
    for (var payload : request.path("payloads")) {
      payloads.add(new MTOMDataSource(text(payload, "content_id"), new DataHandler(new FilePayload(payload))));
    }
    return messages.sendMessageMTOM(new MTOMMessageRequest(properties, payloads));
  }

  private Object ping(JsonNode request) throws Exception {
    messages.ping(text(request, "cpa_id"), text(request, "from"), text(request, "to"));
    return true;
  }

  private Object process(String messageId) throws Exception {
    messages.processMessage(messageId);
    return true;
  }

  private Object refuse(JsonNode request) {
    endpoint.refuse(request.path("requests").asInt(), request.path("status").asInt());
    return true;
  }

  /** Write the payloads of a message to files, in their order; what each is, is the answer. */
  private List<Map<String, Object>> fetch(String messageId, Path directory) throws Exception {
    Files.createDirectories(directory);
    return ledger.payloads(messageId, directory);
  }

  private static String text(JsonNode node, String name) {
    return node.hasNonNull(name) ? node.get(name).asText() : null;
  }
}
