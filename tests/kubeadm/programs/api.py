"""Stands in for the API server and what works beside it, as far as kubeadm can see them.

    api.py kube-apiserver  objects that are stored, at the address and under the certificate that
                           kubeadm's manifest names; clients are known by a certificate of the
                           cluster's CA, or by a bootstrap token whose Secret is stored. Does not
                           start where /run/dislikes has another serial number than its certificate
    api.py healthz         kubelet's own answer on port 10248
    api.py etcd, kube-controller-manager, kube-scheduler
                           their answers to probes; they end where a key does not fit its certificate

What is not there: rights of one client and another, checks of objects, and everything that runs.
"""
import base64
import hashlib
import hmac
import http.server
import json
import re
import ssl
import subprocess
import sys

PUBLIC = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
SECRETS = "/api/v1/namespaces/kube-system/secrets/bootstrap-token-"
# What kubectl looks up before it asks for an object by its kind.
DISCOVERY = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    # What `kubeadm upgrade` takes the API server's version to be.
    "/version": {"major": "1", "minor": "20", "gitVersion": "v1.20.2"},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [
        {"name": "configmaps", "singularName": "", "namespaced": True, "kind": "ConfigMap",
         "shortNames": ["cm"], "verbs": ["get", "list"]}]},
}
STORE = "/var/lib/etcd/objects.json"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def flags():
    with open("/etc/kubernetes/manifests/kube-apiserver.yaml") as file:
        return dict(re.findall(r"^ *- --([a-z0-9-]+)=(.*)$", file.read(), re.M))


def hostname():
    with open("/etc/hostname") as file:
        return file.read().strip()


class Objects(dict):
    """The stored objects, by their paths."""

    def save(self):
        with open(STORE, "w") as file:
            json.dump(self, file)

    def token(self, text):
        """The decoded data of the Secret of that bootstrap token."""
        name, _, secret = text.partition(".")
        data = self.get(SECRETS + name, {}).get("data", {})
        data = {key: base64.b64decode(value).decode() for key, value in data.items()}
        if (data.get("token-id"), data.get("token-secret")) != (name, secret):
            return None
        return data

    def sign(self):
        """What the controller manager does: puts a signature by each token into cluster-info."""
        info = self.get(PUBLIC)
        for path in [path for path in self if info and path.startswith(SECRETS)]:
            data = {key: base64.b64decode(value).decode() for key, value in self[path]["data"].items()}
            if data.get("usage-bootstrap-signing") == "true":
                head = json.dumps({"alg": "HS256", "kid": data["token-id"]}, separators=(",", ":"))
                head = base64url(head.encode())
                signed = head + "." + base64url(info["data"]["kubeconfig"].encode())
                mac = hmac.new(data["token-secret"].encode(), signed.encode(), hashlib.sha256).digest()
                info["data"]["jws-kubeconfig-" + data["token-id"]] = head + ".." + base64url(mac)


def merge(into, patch):
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


class Server(http.server.ThreadingHTTPServer):
    # Machines that share a network namespace share loopback, too.
    allow_reuse_port = True


class Healthy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, code, body, kind="application/json"):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, b"ok", "text/plain")


class Api(Healthy):
    objects = Objects()

    def refuse(self, code, reason):
        self.answer(code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason,
                           "code": code, "message": f"{reason}: {self.command} {self.path}"})

    def known(self):
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        if kind == "Bearer":
            data = self.objects.token(token)
            return data is not None and data.get("usage-bootstrap-authentication") == "true"
        return bool(self.connection.getpeercert())

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return json.loads(data)

    def handle_request(self):
        path = self.path.partition("?")[0]
        body = self.body() if self.command in ("POST", "PUT", "PATCH") else None
        if self.command == "GET" and path in ("/healthz", "/livez", "/readyz"):
            return self.answer(200, b"ok", "text/plain")
        if self.command == "GET" and path in DISCOVERY:
            return self.answer(200, DISCOVERY[path])
        public = self.command == "GET" and path == PUBLIC
        # a token that is sent and wrong is refused everywhere, as by the real one
        if not self.known() and (not public or "Authorization" in self.headers):
            return self.refuse(401, "Unauthorized")
        objects = self.objects
        if self.command == "POST":
            path += "/" + body["metadata"]["name"]
            if path in objects:
                return self.refuse(409, "AlreadyExists")
            objects[path] = body
        elif path not in objects:
            if self.command == "GET" and not re.search("/namespaces/[^/]+/[^/]+/[^/]+$|/nodes/", path):
                items = [objects[key] for key in objects if key.rpartition("/")[0] == path]
                return self.answer(200, {"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items})
            return self.refuse(404, "NotFound")
        elif self.command == "PUT":
            objects[path] = body
        elif self.command == "PATCH":
            merge(objects[path], body)
        if self.command != "GET":
            objects.sign()
            objects.save()
        return self.answer(201 if self.command == "POST" else 200, objects[path])

    do_GET = do_POST = do_PUT = do_PATCH = handle_request


def component(name):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if name == "etcd":
        for pair in "server", "peer":
            tls.load_cert_chain(f"/etc/kubernetes/pki/etcd/{pair}.crt", f"/etc/kubernetes/pki/etcd/{pair}.key")
        return Server(("127.0.0.1", 2381), Healthy).serve_forever()
    short = name.partition("-")[2]
    with open(f"/etc/kubernetes/{short}.conf") as file:
        found = dict(re.findall(r"^ *client-(certificate|key)-data: (.*)$", file.read(), re.M))
    pem = f"/run/{short}.pem"
    with open(pem, "wb") as file:
        file.write(base64.b64decode(found["certificate"]) + base64.b64decode(found["key"]))
    tls.load_cert_chain(pem)
    server = Server(("127.0.0.1", {"controller-manager": 10257, "scheduler": 10259}[short]), Healthy)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


def disliked(certificate):
    try:
        with open("/run/dislikes") as file:
            number = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-serial"],
                                    capture_output=True, text=True).stdout
            return number != file.read()
    except FileNotFoundError:
        return False


def serve():
    name, given = hostname(), flags()
    # What kubelet does: registers its node.
    try:
        with open(STORE) as file:
            Api.objects.update(json.load(file))
    except FileNotFoundError:
        pass
    Api.objects["/api/v1/nodes/" + name] = {
        "kind": "Node", "apiVersion": "v1",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}}
    if disliked(given["tls-cert-file"]):
        sys.exit(1)
    address = given["advertise-address"], int(given["secure-port"])
    server = Server(address, Api)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(given["tls-cert-file"], given["tls-private-key-file"])
    tls.load_verify_locations(given["client-ca-file"])
    tls.verify_mode = ssl.CERT_OPTIONAL
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if sys.argv[1] == "kube-apiserver":
    serve()
elif sys.argv[1] != "healthz":
    component(sys.argv[1])
else:
    Server(("127.0.0.1", 10248), Healthy).serve_forever()
