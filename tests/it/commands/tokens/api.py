"""As much of an API server as kubectl needs to list nodes, requests and secrets and to delete and make secrets.

api.py STATE: serves the objects in the folder STATE, one JSON file each in nodes/, csrs/ and secrets/; prints
its port. Discovery and answers have the form of kube-apiserver's.
"""
import http.server, json, os, pathlib, sys, urllib.parse

STATE = pathlib.Path(sys.argv[1])
KINDS = {"nodes": "Node", "secrets": "Secret", "certificatesigningrequests": "CertificateSigningRequest"}


def resources(version, names):
    verbs = ["create", "delete", "get", "list"]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": [
        {"name": name, "singularName": name[:-1], "kind": KINDS[name], "namespaced": name == "secrets", "verbs": verbs}
        for name in names]}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, value, code=200):
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def missing(self):
        self.answer({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
                     "message": "not found"}, 404)

    def list(self, folder, kind, version):
        items = [json.loads(path.read_text()) for path in sorted((STATE / folder).glob("*.json"))]
        self.answer({"kind": kind + "List", "apiVersion": version, "metadata": {}, "items": items})

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        query = urllib.parse.parse_qs(url.query)
        secret = url.path.removeprefix("/api/v1/namespaces/kube-system/secrets/")
        if url.path == "/api":
            self.answer({"kind": "APIVersions", "versions": ["v1"]})
        elif url.path == "/apis":
            version = {"groupVersion": "certificates.k8s.io/v1", "version": "v1"}
            group = {"name": "certificates.k8s.io", "versions": [version], "preferredVersion": version}
            self.answer({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]})
        elif url.path == "/api/v1":
            self.answer(resources("v1", ["nodes", "secrets"]))
        elif url.path == "/apis/certificates.k8s.io/v1":
            self.answer(resources("certificates.k8s.io/v1", ["certificatesigningrequests"]))
        elif url.path == "/api/v1/nodes":
            self.list("nodes", "Node", "v1")
        elif url.path == "/apis/certificates.k8s.io/v1/certificatesigningrequests":
            self.list("csrs", "CertificateSigningRequest", "certificates.k8s.io/v1")
        elif url.path == "/api/v1/namespaces/kube-system/secrets":
            if query.get("fieldSelector") != ["type=bootstrap.kubernetes.io/token"]:
                self.answer({"kind": "Status", "status": "Failure", "code": 400, "message": "all secrets were asked for"}, 400)
            else:
                self.list("secrets", "Secret", "v1")
        elif secret != url.path and (STATE / "secrets" / f"{secret}.json").exists():
            self.answer(json.loads((STATE / "secrets" / f"{secret}.json").read_text()))
        else:
            self.missing()

    def do_DELETE(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = STATE / "secrets" / (os.path.basename(urllib.parse.urlparse(self.path).path) + ".json")
        if not path.exists():
            return self.missing()
        path.unlink()
        self.answer({"kind": "Status", "apiVersion": "v1", "status": "Success"})


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
