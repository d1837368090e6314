#!/usr/bin/python3
"""Stands in for the API server and its database: what is PUT can be GOT, also after a power cut.

Speaks TLS with the certificate that kubeadm signed. A stranger is told whether it is alive, and the
public cluster-info; all else wants an Authorization, and is refused in Kubernetes' words without."""
import base64
import http.server
import json
import os
import re
import ssl
import subprocess
import sys

store = "/var/lib/etcd/member"
pki = "/etc/kubernetes/pki"
info = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
os.makedirs(store, exist_ok=True)


class Handler(http.server.BaseHTTPRequestHandler):
    def file(self):
        return os.path.join(store, self.path.strip("/").replace("/", "_"))

    def answer(self, code, body=b""):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refused(self):
        if "Authorization" in self.headers:
            return False
        self.answer(403, json.dumps({"kind": "Status", "apiVersion": "v1", "reason": "Forbidden", "code": 403}).encode())
        return True

    def body(self):
        return self.rfile.read(int(self.headers["Content-Length"]))

    def cluster_info(self):
        with open(pki + "/ca.crt", "rb") as file:
            data = base64.b64encode(file.read()).decode()
        config = f"clusters:\n- cluster:\n    certificate-authority-data: {data}\n"
        data = {"kubeconfig": config}
        with open(store + "/bootstrap-token") as file:
            for token in re.findall(r"^[ -]*token: *\"?([a-z0-9]{6})\.", file.read(), re.M):
                data["jws-kubeconfig-" + token] = "signature"
        self.answer(200, json.dumps({"kind": "ConfigMap", "data": data}, separators=(",", ":")).encode())

    def do_GET(self):
        if self.path in ("/livez", "/readyz"):
            self.answer(200, b"ok")
        elif self.path == info and os.path.exists(store + "/bootstrap-token"):
            self.cluster_info()
        elif self.refused():
            pass
        elif os.path.exists(self.file()):
            with open(self.file(), "rb") as file:
                self.answer(200, file.read())
        else:
            self.answer(404, b"not found")

    def do_PUT(self):
        body = self.body()
        if self.refused():
            return
        with open(self.file() + ".new", "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        os.rename(self.file() + ".new", self.file())
        os.sync()
        self.answer(200)

    def do_POST(self):
        """Signs a request for a certificate."""
        body = self.body()
        if self.refused():
            return
        sign = ["openssl", "x509", "-req", "-days", "365", "-CA", pki + "/ca.crt", "-CAkey", pki + "/ca.key",
                "-set_serial", str(int.from_bytes(os.urandom(8), "big"))]
        self.answer(200, subprocess.run(sign, input=body, stdout=subprocess.PIPE, check=True).stdout)


server = http.server.ThreadingHTTPServer((sys.argv[1], 6443), Handler)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(pki + "/apiserver.crt", pki + "/apiserver.key")
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
