package peer;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.activation.DataSource;

/** A payload that is read from a file when it is needed. */
final class FilePayload implements DataSource {
  private final Path path;
  private final String name;
  private final String contentType;

  FilePayload(JsonNode payload) {
    path = Path.of(payload.path("path").asText());
    name = payload.hasNonNull("name") ? payload.get("name").asText() : null;
    contentType = payload.path("content_type").asText("application/octet-stream");
  }

  @Override
  public InputStream getInputStream() throws IOException {
    return Files.newInputStream(path);
  }

  @Override
  public OutputStream getOutputStream() {
    throw new UnsupportedOperationException("a payload is only read");
  }

  @Override
  public String getContentType() {
    return contentType;
  }

  @Override
  public String getName() {
    return name;
  }
}
