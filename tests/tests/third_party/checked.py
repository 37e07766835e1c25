"""boto3 clients that take an answer as badly as a strict reader would.

botocore is lenient: what it does not know it drops, what is missing it leaves out. Here every answer is also held
against the service's model: each member that was sent must be modelled, each that the model requires must be there,
and each must have the modelled type.
"""

import json
import xml.etree.ElementTree as ElementTree

import boto3
from botocore.response import StreamingBody
from botocore.validate import ParamValidator

CALLS = set()
_session = boto3.session.Session()


def client(service):
    """A client of the service that the environment points at."""
    made = _session.client(service)
    made.meta.events.register("after-call." + made.meta.service_model.service_id.hyphenize(), _check)
    return made


def _check(http_response, parsed, model, **_):
    service = model.service_model
    what = f"{service.service_name}:{model.name}"
    CALLS.add(what)
    assert parsed["ResponseMetadata"].get("RequestId"), f"{what}: no request id"
    if http_response.status_code >= 300:
        error = parsed.get("Error", {})
        assert error.get("Code") and "Message" in error, f"{what}: an error without code or message: {parsed}"
        return
    shape = model.output_shape
    if shape is None:
        return
    answer = {name: value for name, value in parsed.items() if name != "ResponseMetadata"}
    if any(isinstance(value, StreamingBody) for value in answer.values()):
        return
    report = ParamValidator().validate(_as_sent(answer, shape), shape)
    assert not report.has_errors(), f"{what}: {report.generate_report()}"
    body = http_response.content
    if not body:
        return
    unknown = []
    if service.metadata["protocol"] == "json":
        _json(json.loads(body), shape, what, unknown)
    elif service.metadata["protocol"] in ("query", "rest-xml"):
        _xml_answer(ElementTree.fromstring(body), shape, what, unknown)
    assert not unknown, f"answered what the model does not know: {unknown}"


def _as_sent(value, shape):
    """boto3 has turned the documents among the texts (templates, policies) into dictionaries."""
    if shape.type_name == "structure":
        return {name: _as_sent(inner, shape.members[name]) for name, inner in value.items()}
    if shape.type_name == "list":
        return [_as_sent(inner, shape.member) for inner in value]
    if shape.type_name == "string" and isinstance(value, dict):
        return json.dumps(value)
    return value


def _json(value, shape, path, unknown):
    if shape.type_name == "structure":
        known = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for name, inner in value.items():
            if name not in known:
                unknown.append(f"{path}.{name}")
            elif inner is not None:
                _json(inner, known[name], f"{path}.{name}", unknown)
    elif shape.type_name == "list":
        for inner in value:
            _json(inner, shape.member, f"{path}[]", unknown)
    elif shape.type_name == "map":
        for inner in value.values():
            _json(inner, shape.value, f"{path}{{}}", unknown)


def _name(element):
    return element.tag.rsplit("}", 1)[-1]


def _xml_answer(root, shape, path, unknown):
    wrapper = shape.serialization.get("resultWrapper")
    if wrapper:
        assert sorted(map(_name, root)) == sorted(["ResponseMetadata", wrapper]), [_name(part) for part in root]
        root = next(part for part in root if _name(part) == wrapper)
    payload = shape.serialization.get("payload")
    if payload:
        shape = shape.members[payload]
    if shape.type_name == "structure":
        _xml(root, shape, path, unknown, top=True)


def _xml(element, shape, path, unknown, top=False):
    if shape.type_name == "structure":
        known = {}
        for name, member in shape.members.items():
            if "location" in member.serialization:
                continue
            if member.type_name in ("list", "map") and member.serialization.get("flattened"):
                of = member.member if member.type_name == "list" else member.value
                name = member.serialization.get("name") or of.serialization.get("name", name)
            known[member.serialization.get("name", name)] = member
        for part in element:
            name = _name(part)
            if name == "ResponseMetadata" and top:
                continue
            if name not in known:
                unknown.append(f"{path}.{name}")
                continue
            member = known[name]
            if member.type_name == "list" and member.serialization.get("flattened"):
                member = member.member
            _xml(part, member, f"{path}.{name}", unknown)
    elif shape.type_name == "list":
        name = shape.member.serialization.get("name", "member")
        for part in element:
            if _name(part) != name:
                unknown.append(f"{path}: <{_name(part)}> where <{name}> is expected")
            else:
                _xml(part, shape.member, f"{path}[]", unknown)
