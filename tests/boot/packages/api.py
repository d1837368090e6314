#!/usr/bin/python3
"""Stands in for the API server and its database: what is PUT can be GOT, also after a power cut."""
import http.server
import os
import sys

store = "/var/lib/etcd/member"
os.makedirs(store, exist_ok=True)


class Handler(http.server.BaseHTTPRequestHandler):
    def file(self):
        return os.path.join(store, self.path.strip("/").replace("/", "_"))

    def answer(self, code, body=b""):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path in ("/livez", "/readyz"):
            self.answer(200, b"ok")
        elif os.path.exists(self.file()):
            with open(self.file(), "rb") as file:
                self.answer(200, file.read())
        else:
            self.answer(404, b"not found")

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(self.file() + ".new", "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        os.rename(self.file() + ".new", self.file())
        os.sync()
        self.answer(200)


http.server.HTTPServer((sys.argv[1], 6443), Handler).serve_forever()
