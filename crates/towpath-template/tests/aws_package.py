"""What `aws cloudformation package` or `sam package` makes of a template, and what this crate makes of it, in one form.

In, on standard input: {"tool": "aws" or "sam", "template": path, "text": packaged, "objects": {key: {"kind", "path" or
"text"}}}. Out: {"theirs", "ours"}: the templates with every key replaced by what is stored under it. The tool runs as
it is, from beside this Python; what it uploads goes to an HTTP server of this process. Exit code 3: it is not there.
"""

import hashlib
import http.server
import io
import json
import os
import re
import sys
import tempfile
import threading
import time
import zipfile

GIVEN = json.load(sys.stdin)
try:
    if GIVEN["tool"] == "sam":
        import samcli.cli.main
        from samcli.yamlhelper import yaml_parse
    else:
        import awscli.clidriver
        from awscli.customizations.cloudformation.yamlhelper import yaml_parse
except ImportError:
    sys.exit(3)

BUCKET = "releases"
STORED = {}


class Store(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def key(self):
        return self.path.split("?")[0].split("/", 2)[2]

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("ETag", '"0"')
        self.end_headers()

    def do_HEAD(self):
        self.answer(200 if self.key() in STORED else 404)

    def do_PUT(self):
        if self.headers.get("Expect") == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        STORED[self.key()] = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200)

    def log_message(self, *_):
        pass


def digest(content):
    return hashlib.sha256(content).hexdigest()


def listing(entries):
    return {"archive": {name: digest(content) for name, content in entries}}


def content_of(key, content):
    if key.endswith(".template"):
        return {"template": normal(yaml_parse(content.decode()), STORED, content_of)}
    if zipfile.is_zipfile(io.BytesIO(content)):
        archive = zipfile.ZipFile(io.BytesIO(content))
        return listing((name, archive.read(name)) for name in archive.namelist())
    return digest(content)


def ours_of(objects):
    def of(key, it):
        path = it.get("path")
        if it["kind"] == "Template":
            return {"template": normal(yaml_parse(it["text"]), objects, of)}
        if it["kind"] == "Zip" and os.path.isdir(path):
            files = [os.path.join(root, name) for root, _, names in os.walk(path) for name in names]
            return listing((os.path.relpath(file, path), open(file, "rb").read()) for file in files)
        if it["kind"] == "Zip":
            return listing([(os.path.basename(path), open(path, "rb").read())])
        # A stack set's template is stored as it is, and called a template.
        name = "as-it-is.template" if os.path.basename(path) == "template.yaml" else ""
        return content_of(name, open(path, "rb").read())

    return of


def normal(value, objects, of):
    """The value with every reference to an object replaced by its form and by what is stored there.

    What `sam package` writes into the metadata of a nested template's resources is left out.
    """
    if isinstance(value, dict):
        if list(value.get("Metadata") or ()) == ["SamResourceId"]:
            value = {key: item for key, item in value.items() if key != "Metadata"}
        return {key: normal(item, objects, of) for key, item in value.items()}
    if isinstance(value, list):
        return [normal(item, objects, of) for item in value]
    if isinstance(value, str):
        if value in objects:
            return {"key": of(value, objects[value])}
        for form, pattern in (("s3", "s3://"), ("url", "https?://[^/]+/")):
            found = re.fullmatch(f"{pattern}{BUCKET}/([^?]+)", value)
            if found and found[1] in objects:
                return {form: of(found[1], objects[found[1]])}
    return value


def environment(port):
    return dict(
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY="secret",
        AWS_DEFAULT_REGION="eu-west-1",
        AWS_REQUEST_CHECKSUM_CALCULATION="when_required",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        NO_PROXY="127.0.0.1",
        SAM_CLI_TELEMETRY="0",
    )


def run(template, packaged, directory):
    files = ["--template-file", template, "--s3-bucket", BUCKET, "--output-template-file", packaged]
    answer, sys.stdout = sys.stdout, sys.stderr
    try:
        if GIVEN["tool"] == "aws":
            return awscli.clidriver.create_clidriver().main(["cloudformation", "package", *files])
        # Its own directory for settings, in which it has just asked for the newest version: so it does not ask.
        with open(os.path.join(directory, "metadata.json"), "w") as file:
            json.dump({"lastVersionCheck": time.time()}, file)
        os.environ["__SAM_CLI_APP_DIR"] = directory
        return samcli.cli.main.cli.main(["package", *files, "--no-progressbar"], standalone_mode=False)
    finally:
        sys.stdout = answer


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ.update(environment(server.server_port))
    os.chdir(os.path.dirname(GIVEN["template"]))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        # Where `sam` leaves what it packs.
        tempfile.tempdir = directory
        packaged = os.path.join(directory, "packaged.yaml")
        code = run(GIVEN["template"], packaged, directory)
        if code:
            sys.exit(code)
        with open(packaged) as file:
            theirs = normal(yaml_parse(file.read()), STORED, content_of)
    ours = normal(yaml_parse(GIVEN["text"]), GIVEN["objects"], ours_of(GIVEN["objects"]))
    json.dump({"theirs": theirs, "ours": ours}, sys.stdout)


main()
