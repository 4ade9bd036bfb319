package peer;

import java.io.IOException;
import java.io.OutputStream;
import java.util.EnumSet;
import java.util.concurrent.atomic.AtomicInteger;
import javax.servlet.DispatcherType;
import javax.servlet.Filter;
import javax.servlet.FilterChain;
import javax.servlet.ServletContext;
import javax.servlet.ServletException;
import javax.servlet.ServletRequest;
import javax.servlet.ServletResponse;
import javax.servlet.http.HttpServletResponse;
import nl.clockwork.ebms.server.servlet.ClientCertificateManagerFilter;
import nl.clockwork.ebms.server.servlet.EbMSServlet;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.SecureRequestCustomizer;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.servlet.FilterHolder;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.util.ssl.SslContextFactory;
import org.springframework.web.context.WebApplicationContext;

/** The ebMS endpoint: the servlet of ebms-core in an embedded server, behind a gate that can refuse requests. */
final class Endpoint {
  private final Server server = new Server();
  private final Gate gate = new Gate();

  Endpoint(Settings settings, WebApplicationContext context) {
    var connector = settings.tls()
        ? new ServerConnector(server, tls(settings), secureHttp())
        : new ServerConnector(server);
    connector.setHost("127.0.0.1");
    connector.setPort(settings.port());
    server.addConnector(connector);
    var handler = new ServletContextHandler();
    handler.setAttribute(WebApplicationContext.ROOT_WEB_APPLICATION_CONTEXT_ATTRIBUTE, context);
    var everything = EnumSet.of(DispatcherType.REQUEST);
    handler.addFilter(new FilterHolder(gate), "/*", everything);
    if (settings.tls()) {
      handler.addFilter(ClientCertificateManagerFilter.class, "/*", everything);
    }
    handler.addServlet(EbMSServlet.class, settings.path());
    server.setHandler(handler);
  }

  /** A servlet context for beans to be made in, before there is a server. */
  static ServletContext newServletContext() {
    return new ServletContextHandler().getServletContext();
  }

  void start() throws Exception {
    server.start();
  }

  void stop() throws Exception {
    server.stop();
  }

  /** Answer the next requests with a status, without handling them. */
  void refuse(int requests, int status) {
    gate.status = status;
    gate.left.set(requests);
  }

  /** How many requests came, and how many of those were refused. */
  int[] requests() {
    return new int[] {gate.seen.get(), gate.refused.get()};
  }

  private static SslContextFactory.Server tls(Settings settings) {
    var factory = new SslContextFactory.Server();
    factory.setKeyStorePath(settings.keystore());
    factory.setKeyStoreType("PKCS12");
    factory.setKeyStorePassword(settings.password());
    factory.setTrustStorePath(settings.truststore());
    factory.setTrustStoreType("PKCS12");
    factory.setTrustStorePassword(settings.password());
    factory.setIncludeProtocols("TLSv1.2", "TLSv1.3");
    factory.setNeedClientAuth(true);
    return factory;
  }

  private static HttpConnectionFactory secureHttp() {
    var configuration = new HttpConfiguration();
    configuration.addCustomizer(new SecureRequestCustomizer());
    return new HttpConnectionFactory(configuration);
  }

  private static final class Gate implements Filter {
    private final AtomicInteger left = new AtomicInteger();
    private final AtomicInteger seen = new AtomicInteger();
    private final AtomicInteger refused = new AtomicInteger();
    private volatile int status;

    @Override
    public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain)
        throws IOException, ServletException {
      seen.incrementAndGet();
      if (left.getAndUpdate(count -> Math.max(0, count - 1)) == 0) {
        chain.doFilter(request, response);
        return;
      }
      refused.incrementAndGet();
      request.getInputStream().transferTo(OutputStream.nullOutputStream());
      ((HttpServletResponse) response).setStatus(status);
    }
  }
}
