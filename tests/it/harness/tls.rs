//! Certificates by `openssl`, of an authority of the test's own, and which addresses speak TLS.
//!
//! An address that was named here is spoken to over TLS by `http` and by the stock clients, which trust that authority alone.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Scratch;
use super::server::Server;

static SPOKEN: Mutex<Option<HashMap<String, Trust>>> = Mutex::new(None);

#[derive(Clone)]
struct Trust {
    config: Arc<ClientConfig>,
    authority: String,
}

/// Who signs certificates.
pub(crate) struct Authority {
    folder: Scratch,
}

/// The files of a certificate.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Files {
    /// The settings that name them.
    pub(crate) fn variables(&self) -> [(&str, &str); 2] {
        [
            ("ROWCAST_TLS_CERT", self.certificate.to_str().expect("text")),
            ("ROWCAST_TLS_KEY", self.key.to_str().expect("text")),
        ]
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = Scratch::folder();
        let settings = "[ca]\ndefault_ca=it\n[it]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\n\
            certificate=ca.pem\nprivate_key=ca.key\npolicy=any\nunique_subject=no\n[any]\ncommonName=supplied\n\
            [server]\nsubjectAltName=IP:127.0.0.1,DNS:localhost\n";
        std::fs::write(folder.path().join("ca.cnf"), settings).expect("a file");
        std::fs::write(folder.path().join("index"), "").expect("a file");
        std::fs::write(folder.path().join("serial"), "1000\n").expect("a file");
        let authority = Self { folder };
        authority.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=authority -keyout ca.key -out ca.pem",
        );
        authority
    }

    /// The authority's own certificate.
    pub(crate) fn pem(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("ca.pem")).expect("it was made")
    }

    /// A certificate for this machine that ends after `left`, in files of this name.
    pub(crate) fn issue(&self, name: &str, left: Duration) -> Files {
        self.issue_until(name, SystemTime::now() + left)
    }

    /// The same with the moment at which it ends.
    pub(crate) fn issue_until(&self, name: &str, end: SystemTime) -> Files {
        let end = humantime::format_rfc3339_seconds(end).to_string();
        let end = end.replace(['-', ':', 'T'], "");
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"
        ));
        self.openssl(&format!(
            "ca -batch -notext -config ca.cnf -extensions server -startdate 20200101000000Z -enddate {end} -in {name}.csr \
             -out {name}.pem"
        ));
        Files {
            certificate: self.folder.path().join(format!("{name}.pem")),
            key: self.folder.path().join(format!("{name}.key")),
        }
    }

    /// From now on this server is spoken to over TLS.
    pub(crate) fn speak_to(&self, server: &Server) {
        self.speak(server.address());
        self.speak(server.admin());
    }

    /// From now on this address is spoken to over TLS.
    pub(crate) fn speak(&self, address: &str) {
        let trust = Trust {
            config: self.client(rustls::DEFAULT_VERSIONS, &[]),
            authority: self.pem(),
        };
        let mut spoken = SPOKEN.lock().expect("unpoisoned");
        spoken
            .get_or_insert_default()
            .insert(address.to_owned(), trust);
    }

    /// A client that speaks these versions, and offers these protocols inside.
    pub(crate) fn client(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        protocols: &[&str],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let own = CertificateDer::from_pem_slice(self.pem().as_bytes()).expect("PEM");
        roots.add(own).expect("a certificate");
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions that there are")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Arc::new(config)
    }

    fn openssl(&self, arguments: &str) {
        let made = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .output()
            .expect("openssl is installed");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
    }
}

/// Shakes hands as this client does.
pub(crate) async fn connect(
    address: &str,
    client: Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    TlsConnector::from(client).connect(name, tcp).await
}

/// How this address is spoken to, where that is over TLS.
pub(super) fn client_of(address: &str) -> Option<Arc<ClientConfig>> {
    trust_of(address).map(|trust| trust.config)
}

/// The URL of an address and the options of a stock client for it.
pub(super) fn stock_of(address: &str, options: &Value) -> (String, Value) {
    let mut options = options.clone();
    if address.contains("://") {
        return (address.to_owned(), options);
    }
    let Some(trust) = trust_of(address) else {
        return (format!("http://{address}"), options);
    };
    options["ca"] = json!(trust.authority);
    (format!("https://{address}"), options)
}

fn trust_of(address: &str) -> Option<Trust> {
    let spoken = SPOKEN.lock().expect("unpoisoned");
    spoken.as_ref()?.get(address).cloned()
}
