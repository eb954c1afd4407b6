"""Declarations out of a header, read with pycparser from the flattened text that the C compiler read.

``python -m iommu_abi.uapi.reader`` runs when the package is built: reading takes longer than all the rest
that a command does, and what is read never changes.
"""

from __future__ import annotations

import json
import pickle
import re
import sys

from pycparser import c_ast, c_parser

from iommu_abi.errors import UsageError
from iommu_abi.uapi.layout import SCALARS, Array, Declarations, Enum, Member, Pointer, Record, Type


class _Reader:
    """pycparser's tree -> Declarations."""

    def __init__(self) -> None:
        self.out = Declarations({}, {})
        self.values: dict[str, int] = {}

    def read(self, text: str) -> Declarations:
        for node in c_parser.CParser().parse(text).ext:
            if isinstance(node, c_ast.Decl):
                self.type_of(node.type)
        return self.out

    def type_of(self, node: c_ast.Node) -> Type:
        if isinstance(node, c_ast.TypeDecl):
            return self.type_of(node.type)
        if isinstance(node, c_ast.PtrDecl):
            return Pointer()
        if isinstance(node, c_ast.ArrayDecl):
            count = None if node.dim is None else self.value(node.dim)
            return Array(self.type_of(node.type), count)
        if isinstance(node, c_ast.IdentifierType):
            return SCALARS[node.names[0]]
        if isinstance(node, c_ast.Enum):
            return self.enum(node)
        if isinstance(node, (c_ast.Struct, c_ast.Union)):
            return self.record(node)
        raise UsageError(f"cannot read a {type(node).__name__} at {node.coord}")

    def record(self, node: c_ast.Struct | c_ast.Union) -> Record:
        if node.decls is None:
            return self.out.records.get(node.name) or Record("struct", node.name, ())
        kind = "struct" if isinstance(node, c_ast.Struct) else "union"
        members = tuple(
            Member(d.name, self.type_of(d.type), d.bitsize and self.value(d.bitsize)) for d in node.decls
        )
        record = Record(kind, node.name, members)
        if node.name:
            self.out.records[node.name] = record
        return record

    def enum(self, node: c_ast.Enum) -> Enum:
        if node.values is None:
            return self.out.enums[node.name]
        constants, following = [], 0
        for item in node.values.enumerators:
            following = self.value(item.value) if item.value else following
            constants.append((item.name, following))
            self.values[item.name] = following
            following += 1
        name = node.name or ("" if "" not in self.out.enums else str(len(self.out.enums)))
        self.out.enums[name] = enum = Enum(name, tuple(constants))
        return enum

    def value(self, node: c_ast.Node) -> int:
        """A constant expression of the kinds that the headers use."""
        if isinstance(node, c_ast.Constant):
            return int(node.value.rstrip("uUlL"), 0)
        if isinstance(node, c_ast.ID):
            return self.values[node.name]
        if isinstance(node, c_ast.UnaryOp) and node.op == "-":
            return -self.value(node.expr)
        if isinstance(node, c_ast.BinaryOp):
            left, right = self.value(node.left), self.value(node.right)
            operations = {"<<": left << right, "|": left | right, "+": left + right, "-": left - right}
            return operations[node.op]
        raise UsageError(f"cannot evaluate {type(node).__name__} at {node.coord}")


def parse(text: str) -> Declarations:
    """Read the flattened text of a header."""
    return _Reader().read(text)


def stored(texts: dict[str, str]) -> bytes:
    """Of each generation its structs' names, and apart, for all are asked for names, its declarations."""
    found = {
        name: (re.findall(r"^struct (\w+) \{", text, re.M), pickle.dumps(parse(text)))
        for name, text in texts.items()
    }
    return pickle.dumps(found)


if __name__ == "__main__":
    sys.stdout.buffer.write(stored(json.load(sys.stdin)))
