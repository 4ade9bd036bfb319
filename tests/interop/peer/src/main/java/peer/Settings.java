package peer;

import java.util.Map;

/**
 * How the peer is to run.
 *
 * @param port where its ebMS endpoint listens, on loopback
 * @param path of the endpoint
 * @param directory for its database and large attachments
 * @param tls whether the endpoint speaks TLS and demands a client certificate
 * @param keystore PKCS12 with its key, or null for those inside ebms-core
 * @param truststore PKCS12 with every authority that issued a certificate of a CPA
 * @param password of both
 * @param properties of ebms-core that replace its own and ours
 */
record Settings(
    int port,
    String path,
    String directory,
    boolean tls,
    String keystore,
    String truststore,
    String password,
    Map<String, String> properties) {}
