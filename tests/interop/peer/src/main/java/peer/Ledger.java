package peer;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.sql.DataSource;
import nl.clockwork.ebms.EbMSMessageStatus;
import nl.clockwork.ebms.event.MessageEventType;
import org.springframework.jdbc.core.JdbcTemplate;

/** What the peer wrote down: read from its tables, because its services tell a client only part of it. */
final class Ledger {
  private final JdbcTemplate database;

  Ledger(DataSource source) {
    database = new JdbcTemplate(source);
  }

  /** The state of a message, or null where the peer has none by that id. */
  String status(String messageId) {
    var found = database.query(
        "select status from ebms_message where message_id = ?", (row, number) -> statusOf(row), messageId);
    return found.isEmpty() ? null : found.get(0);
  }

  /** Every message and signal, in and out, in the order of their times. */
  List<Map<String, Object>> messages() {
    return database.query(
        "select message_id, ref_to_message_id, conversation_id, cpa_id, service, action, status from ebms_message"
            + " order by time_stamp",
        (row, number) -> {
          var found = new LinkedHashMap<String, Object>();
          for (var name : List.of(
              "message_id", "ref_to_message_id", "conversation_id", "cpa_id", "service", "action")) {
            found.put(name, row.getString(name));
          }
          found.put("status", statusOf(row));
          return found;
        });
  }

  String envelope(String messageId) {
    return database.queryForObject("select content from ebms_message where message_id = ?", String.class, messageId);
  }

  List<Map<String, Object>> events() {
    return database.query(
        "select message_id, event_type from message_event order by time_stamp",
        (row, number) -> Map.of(
            "message_id", row.getString("message_id"),
            "event", MessageEventType.values()[row.getInt("event_type")].name()));
  }

  /** Each attempt to send a message; the error text is null where it went well. */
  List<Map<String, Object>> attempts(String messageId) {
    return database.query(
        "select uri, status, error_message from delivery_log where message_id = ? order by time_stamp",
        (row, number) -> {
          var found = new LinkedHashMap<String, Object>();
          found.put("uri", row.getString("uri"));
          found.put("status", row.getInt("status"));
          found.put("error", row.getString("error_message"));
          return found;
        },
        messageId);
  }

  List<Map<String, Object>> payloads(String messageId, Path directory) {
    return database.query(
        "select order_nr, name, content_id, content_type, content from ebms_attachment where message_id = ?"
            + " order by order_nr",
        (row, number) -> payload(row, directory.resolve("payload-" + number)),
        messageId);
  }

  private static Map<String, Object> payload(ResultSet row, Path path) throws SQLException {
    try (var content = row.getBinaryStream("content")) {
      Files.copy(content, path);
    } catch (IOException problem) {
      throw new UncheckedIOException(problem);
    }
    var found = new LinkedHashMap<String, Object>();
    found.put("path", path.toString());
    found.put("name", row.getString("name"));
    found.put("content_id", row.getString("content_id"));
    found.put("content_type", row.getString("content_type"));
    return found;
  }

  private static String statusOf(ResultSet row) throws SQLException {
    int id = row.getInt("status");
    return row.wasNull() ? null : EbMSMessageStatus.get(id).map(Enum::name).orElse("UNKNOWN_" + id);
  }
}
