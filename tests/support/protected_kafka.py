"""A real broker that asks for proof: listeners with TLS, client certificates, passwords.

In: a folder and a certificate authority. Out: an embedded Kafka whose `addresses` name one listener
for each of Kafka's security protocols.
"""

from pathlib import Path

from deploy.local import places
from deploy.local.kafka import PROPERTIES, Kafka
from deploy.local.processes import LOOPBACK, free_port
from tests.support.certificates import Authority

USER, PASSWORD = "regua-sender", "right-Word-1"
PROTOCOLS = ("SSL", "SASL_SSL", "SASL_PLAINTEXT")
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
PLAIN = (
    f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
)
SECURITY = """
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={truststore}
listener.name.ssl.ssl.client.auth=required
listener.name.sasl_ssl.sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256,PLAIN
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={scram}
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={scram}
listener.name.sasl_ssl.plain.sasl.jaas.config={plain}
listener.name.sasl_plaintext.sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config={scram}
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config={scram}
"""


class ProtectedKafka(Kafka):
    """The plain listener stays, for the broker itself and for its start's probe."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        super().__init__(folder)
        self.addresses = {name: f"{LOOPBACK}:{free_port()}" for name in PROTOCOLS}
        certificate, key = authority.issue("broker")
        both = places.server_folder(folder) / "broker.pem"
        both.write_bytes(key.read_bytes() + certificate.read_bytes())
        trusted = folder / "trusted.pem"
        trusted.write_bytes(authority.ca.read_bytes())
        more = "".join(f",{name}://{address}" for name, address in self.addresses.items())
        protocols = "".join(f",{name}:{name}" for name in PROTOCOLS)
        lines = []
        for line in PROPERTIES.splitlines():
            extra = more if line.startswith(("listeners=", "advertised.listeners=")) else ""
            extra += protocols if line.startswith("listener.security.protocol.map=") else ""
            lines.append(line + extra)
        security = SECURITY.format(keystore=both, truststore=trusted, scram=SCRAM, plain=PLAIN)
        self.properties = "\n".join(lines) + security
        credentials = f"[name={USER},password={PASSWORD}]"
        self.format_options = (
            *("--add-scram", f"SCRAM-SHA-512={credentials}"),
            *("--add-scram", f"SCRAM-SHA-256={credentials}"),
        )
