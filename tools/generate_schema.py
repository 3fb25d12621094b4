#!/usr/bin/env python3
"""Writes src/objects/schema/kubernetes.inc: the schema rows of Kubernetes' own kinds.

Sources, from the Go module cache (`go mod download` puts them there):
  k8s.io/kubernetes  api/openapi-spec/swagger.json   names, types, required, list types, patches
  k8s.io/api, k8s.io/apimachinery                    protobuf numbers (generated.proto),
                                                     enumerations (types.go)
What those do not say (defaults, ranges, formats) is in tools/generate_schema_rules.py.

usage: tools/generate_schema.py [--check]     --check: fail when the file on disk differs
"""

import json
import pathlib
import re
import subprocess
import sys

from generate_schema_rules import CLOSED_ENUMS, OPTIONAL, ROOTS, RULES

VERSION = "0.36.3"
MODULES = {
    "kubernetes": f"k8s.io/kubernetes@v1.{VERSION[2:]}",
    "api": f"k8s.io/api@v{VERSION}",
    "apimachinery": f"k8s.io/apimachinery@v{VERSION}",
}
OUTPUT = pathlib.Path(__file__).resolve().parent.parent / "src/objects/schema/kubernetes.inc"
MAX_LITERAL = 60_000  # compilers must take string literals of 65,536 bytes

SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "intOrString",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "microTime",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Duration": "duration",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "any",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "any",
}
PREFIXES = {
    "io.k8s.api.": "",
    "io.k8s.apimachinery.pkg.apis.meta.": "meta.",
}
SCALARS = {
    ("string", None): "string",
    ("string", "byte"): "bytes",
    ("string", "date-time"): "time",
    ("integer", "int32"): "int32",
    ("integer", "int64"): "int64",
    ("integer", None): "int64",
    ("number", "double"): "double",
    ("boolean", None): "bool",
    ("object", None): "any",
}


def module_dir(module):
    answer = subprocess.run(
        ["go", "mod", "download", "-json", module], capture_output=True, text=True, check=True
    )
    return pathlib.Path(json.loads(answer.stdout)["Dir"])


def short_name(definition):
    """io.k8s.api.core.v1.Pod -> core.v1.Pod"""
    for prefix, replacement in PREFIXES.items():
        if definition.startswith(prefix):
            return replacement + definition[len(prefix):]
    raise SystemExit(f"no short name for {definition}")


class Protos:
    """Messages of the generated.proto files: name -> [(field, number, type)]."""

    def __init__(self, roots):
        self.messages = {}
        for root in roots:
            for path in root.rglob("generated.proto"):
                self._read(path)

    def _read(self, path):
        text = re.sub(r"//[^\n]*", "", path.read_text())
        package = re.search(r"^package ([\w.]+);", text, re.M).group(1)
        for name, body in re.findall(r"^message (\w+) \{(.*?)^\}", text, re.M | re.S):
            rows = []
            for kind, field, number in re.findall(
                r"(?:optional|repeated|required)?\s*(map<[^>]+>|[\w.]+) (\w+) = (\d+);", body
            ):
                if not kind.startswith("map<") and "." in kind:
                    kind = kind.lstrip(".")
                elif kind[0].isupper():
                    kind = f"{package}.{kind}"
                rows.append((field, int(number), kind))
            self.messages[f"{package}.{name}"] = rows

    def number(self, message, field, depth=0):
        """(number, outer number) of a JSON field; fields of embedded messages are found too."""
        rows = self.messages.get(message, [])
        for name, number, _ in rows:
            if name.lower() == field.lower():  # `uid` is `uID` there
                return number, 0
        if depth == 0:
            for _, outer, kind in rows:
                if kind in self.messages:
                    number, _ = self.number(kind, field, depth + 1)
                    if number:
                        return number, outer
        return 0, 0


class GoTypes:
    """Enumerations of the types.go files: the values that a struct's field may have."""

    def __init__(self, roots):
        self.values = {}  # "core/v1.RestartPolicy" -> values
        self.fields = {}  # ("core/v1", "PodSpec", "restartPolicy") -> "core/v1.RestartPolicy"
        for root in roots:
            for path in root.rglob("types*.go"):
                self._read(path, str(path.parent.relative_to(root)))

    def _read(self, path, package):
        text = path.read_text()
        for name, value in re.findall(r"^\s+\w+\s+(\w+)\s*=\s*\"([^\"]*)\"", text, re.M):
            self.values.setdefault(f"{package}.{name}", []).append(value)
        for struct, body in re.findall(r"^type (\w+) struct \{(.*?)^\}", text, re.M | re.S):
            for kind, tag in re.findall(r"^\s+\w+\s+([*\[\]\w.]+)\s+`json:\"(\w+)", body, re.M):
                kind = kind.lstrip("*[]")
                if kind.startswith("v1."):
                    kind = "core/v1." + kind[3:]
                elif "." not in kind:
                    kind = f"{package}.{kind}"
                self.fields[(package, struct, tag)] = kind

    def enum(self, struct, field):
        package, _, name = struct.rpartition(".")
        kind = self.fields.get((package.replace(".", "/"), name, field))
        return kind, self.values.get(kind)


class Generator:
    def __init__(self):
        dirs = {name: module_dir(module) for name, module in MODULES.items()}
        swagger = json.loads((dirs["kubernetes"] / "api/openapi-spec/swagger.json").read_text())
        self.definitions = swagger["definitions"]
        self.protos = Protos([dirs["api"], dirs["apimachinery"]])
        self.go = GoTypes([dirs["api"]])
        self.used_rules = set()
        self.used_enums = set()

    def reachable(self):
        seen, queue = set(), list(ROOTS)
        while queue:
            name = queue.pop()
            if name in seen or name in SPECIAL:
                continue
            seen.add(name)
            for ref in re.findall(
                r'"\$ref": "#/definitions/([^"]+)"',
                json.dumps(self.definitions[name].get("properties", {})),
            ):
                queue.append(ref)
        return sorted(seen)

    def type_of(self, schema):
        if "$ref" in schema:
            name = schema["$ref"].removeprefix("#/definitions/")
            return SPECIAL.get(name) or short_name(name)
        if schema.get("type") == "array":
            return "[]" + self.type_of(schema["items"])
        if "additionalProperties" in schema:
            return "map[]" + self.type_of(schema["additionalProperties"])
        return SCALARS[(schema.get("type", "object"), schema.get("format"))]

    def message(self, definition):
        name = definition.replace("io.k8s.", "k8s.io.", 1)
        return name

    def row(self, definition, field, schema, required):
        struct = short_name(definition)
        words = [field, self.type_of(schema)]
        number, outer = self.protos.number(self.message(definition), field)
        if number:
            words.append(f"@{number}" if not outer else f"@{outer}.{number}")
        elif field not in ("apiVersion", "kind"):
            raise SystemExit(f"no protobuf number for {struct}.{field}")
        rule = RULES.get(f"{struct}.{field}", "")
        if field in required and f"{struct}.{field}" not in OPTIONAL:
            words.append("required")
        list_type = schema.get("x-kubernetes-list-type")
        if list_type == "set":
            words.append("set")
        if list_type == "map":
            words.append("keys=" + ",".join(schema["x-kubernetes-list-map-keys"]))
        strategies = schema.get("x-kubernetes-patch-strategy", "").split(",")
        if "merge" in strategies:
            words.append("merge=" + schema.get("x-kubernetes-patch-merge-key", ""))
        if "retainKeys" in strategies:
            words.append("retainKeys")
        if schema.get("x-kubernetes-map-type") == "atomic":
            words.append("atomic")
        go_type, values = self.go.enum(struct, field)
        if go_type in CLOSED_ENUMS:
            self.used_enums.add(go_type)
            if not values:
                raise SystemExit(f"no values of {go_type}")
            words.append("enum=" + "|".join(v for v in values if v))
        if rule:
            self.used_rules.add(f"{struct}.{field}")
            words.append(rule)
        return "  " + " ".join(words)

    def text(self):
        lines = []
        for definition in self.reachable():
            body = self.definitions[definition]
            flags = " atomic" if body.get("x-kubernetes-map-type") == "atomic" else ""
            lines.append(f"struct {short_name(definition)}{flags}")
            required = body.get("required", [])
            for field, schema in sorted(body.get("properties", {}).items()):
                lines.append(self.row(definition, field, schema, required))
        for what, known, used in (
            ("rules", set(RULES), self.used_rules),
            ("enums", set(CLOSED_ENUMS), self.used_enums),
        ):
            if known - used:
                raise SystemExit(f"{what} for fields that do not exist: {sorted(known - used)}")
        return lines


def literals(lines):
    """Splits the text at struct borders into string literals of bounded size."""
    chunks, size = [[]], 0
    for line in lines:
        if line.startswith("struct") and size > MAX_LITERAL - 4000:
            chunks.append([])
            size = 0
        chunks[-1].append(line)
        size += len(line) + 1
    return chunks


def main():
    out = ["// Generated by tools/generate_schema.py from Kubernetes 1." + VERSION[2:] + "."]
    out.append("// Do not edit: change tools/generate_schema_rules.py and run it again.")
    for chunk in literals(Generator().text()):
        out += ['R"schema(', *chunk, ')schema",']
    text = "\n".join(out) + "\n"
    if "--check" in sys.argv:
        if OUTPUT.read_text() != text:
            raise SystemExit(f"{OUTPUT} is not what tools/generate_schema.py writes")
        return
    OUTPUT.write_text(text)


if __name__ == "__main__":
    main()
