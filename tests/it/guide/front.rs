//! nginx and Caddy in front of a server, with the guide's own blocks.

use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::page::block;
use super::tools::{Running, ended, folder, program, write};
use crate::harness::Scratch;
use crate::harness::wait::{until, until_for};

/// A proxy that runs, with TLS.
pub(super) struct Front {
    /// `https://localhost:port`.
    pub(super) url: String,
    /// Who vouches for it, as PEM.
    pub(super) authority: String,
    running: Running,
    folder: Scratch,
}

impl Front {
    /// nginx before a server at `upstream`, and a certificate made for it.
    pub(super) async fn nginx(upstream: &str) -> Self {
        let folder = folder();
        let dir = folder.path().display().to_string();
        let mut openssl = program("openssl", folder.path());
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ]);
        openssl.args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ]);
        openssl.args([
            "-keyout",
            "chat.example.com.key",
            "-out",
            "chat.example.com.pem",
        ]);
        ended(openssl).await.expect("a certificate");

        let address = free_address();
        let site = block("nginx", "nginx")
            .replace("listen 443 ", &format!("listen {address} "))
            .replace("127.0.0.1:3001", upstream)
            .replace("server_name chat.example.com", "server_name localhost")
            .replace("/etc/ssl/", &format!("{dir}/"));
        write(&folder, "site.conf", &site);
        // What a system's own nginx.conf would say, for one process in one folder.
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|what| format!("{what}_temp_path {dir}/{what};\n"))
            .collect();
        let around = format!(
            "daemon off; master_process off; pid {dir}/pid; error_log stderr;\nevents {{}}\n\
             http {{\naccess_log off;\n{temporary}include {dir}/site.conf;\n}}\n"
        );
        write(&folder, "nginx.conf", &around);
        let mut nginx = program("nginx", folder.path());
        nginx.args([
            "-e",
            "stderr",
            "-p",
            &dir,
            "-c",
            &format!("{dir}/nginx.conf"),
        ]);
        Self::start(nginx, address, folder, "chat.example.com.pem").await
    }

    /// Caddy before a server at `upstream`, with an authority of its own.
    pub(super) async fn caddy(upstream: &str) -> Self {
        let folder = folder();
        let dir = folder.path().display().to_string();
        let address = free_address();
        let port = address.rsplit(':').next().expect("a port");
        let site = block("Caddy", "caddyfile")
            .replace("chat.example.com", &format!("localhost:{port}"))
            .replace("127.0.0.1:3001", upstream);
        let around = format!(
            "{{\n\tadmin off\n\tauto_https disable_redirects\n\tlocal_certs\n\tskip_install_trust\n\
             \tstorage file_system {dir}/caddy\n}}\n"
        );
        write(&folder, "Caddyfile", &(around + &site));
        let mut caddy = program("caddy", folder.path());
        caddy
            .env("HOME", folder.path())
            .env("XDG_DATA_HOME", folder.path());
        caddy.args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"]);
        Self::start(
            caddy,
            address,
            folder,
            "caddy/pki/authorities/local/root.crt",
        )
        .await
    }

    async fn start(command: Command, address: String, folder: Scratch, authority: &str) -> Self {
        let running = Running::start(command);
        let port = address.rsplit(':').next().expect("a port");
        let url = format!("https://localhost:{port}");
        let file = folder.path().join(authority);
        let authority = until("a certificate", async || {
            std::fs::read_to_string(&file)
                .ok()
                .filter(|pem| pem.contains("END CERTIFICATE"))
        })
        .await;
        write(&folder, "authority.pem", &authority);
        let front = Self {
            url,
            authority,
            running,
            folder,
        };
        until_for(
            Duration::from_secs(30),
            "the proxy to shake hands",
            async || {
                let lines = front.running.lines();
                assert!(front.running.runs(), "it ended: {lines:?}");
                // Whatever is behind it may not answer.
                let shook = [
                    "-m",
                    "0.2",
                    "-o",
                    "got",
                    "-w",
                    "%{time_appconnect}",
                    "/livez",
                ];
                let time = match front.curl(&shook).await {
                    Ok(text) | Err(text) => text,
                };
                (!time.contains("0.000000")).then_some(())
            },
        )
        .await;
        front
    }

    /// What curl prints of a path behind it.
    pub(super) async fn curl(&self, arguments: &[&str]) -> Result<String, String> {
        let (path, options) = arguments.split_last().expect("a path");
        let mut curl = program("curl", self.folder.path());
        curl.args(["-sS", "--cacert", "authority.pem", "-m", "60"]);
        curl.args(options).arg(format!("{}{path}", self.url));
        ended(curl).await
    }
}

/// An address that nobody listens on, below those that the system hands out by itself.
pub(crate) fn free_address() -> String {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    loop {
        let asked = ASKED.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + (std::process::id() * 7 + asked) % 20_000;
        let address = format!("127.0.0.1:{port}");
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}
