"""The reference of C++: a page for each public header, made of what Doxygen reads in it."""

import re
import subprocess
import textwrap
import xml.etree.ElementTree as ElementTree
from pathlib import Path

HERE = Path(__file__).parent
SETTINGS = """\
INPUT = {include}/shumai
FILE_PATTERNS = *.hpp
OUTPUT_DIRECTORY = {out}
GENERATE_HTML = NO
GENERATE_LATEX = NO
GENERATE_XML = YES
XML_PROGRAMLISTING = NO
QUIET = YES
WARN_AS_ERROR = FAIL_ON_WARNINGS
WARN_IF_UNDOCUMENTED = NO
INPUT_FILTER = {filter}
EXCLUDE_SYMBOLS = *detail* boost*
AUTOLINK_SUPPORT = NO
MARKDOWN_SUPPORT = NO
"""
KINDS = ("class", "struct", "concept")
# Members that only the library can use.
FOR_THE_LIBRARY = re.compile(r"= delete|detail::|const Function&|shared_ptr<State>|TensorImpl|\bAdopt\b")


def text_of(element):
    return "".join(element.itertext()) if element is not None else ""


def documentation(element):
    own = element.find("detaileddescription")
    return "" if own is None else "\n".join(text_of(found).strip("\n") for found in own.iter("verbatim")).strip()


def tidy(declaration):
    declaration = re.sub(r"<\s+", "<", declaration)
    declaration = re.sub(r"\s+>", ">", declaration)
    declaration = re.sub(r" ([&*]+)(?! ?=)(?= ?\w)", r"\1 ", declaration)
    declaration = re.sub(r" ([&*]+)(?=[,)>]|$)", r"\1", declaration)
    declaration = re.sub(r"(?<=[\w\])>])=(?=[\w{\"'(-])", " = ", declaration)
    # To a user it is what it holds.
    declaration = re.sub(r"(?:sm::)?detail::FrameSafe<(.*)>(?= \w+ =)", r"\1", declaration)
    return re.sub(r"  +", " ", declaration).strip()


def template_of(element):
    found = element.find("templateparamlist")
    if found is None:
        return ""
    params = [" ".join(filter(None, (text_of(each.find("type")), each.findtext("declname") or "")))
              + (" = " + text_of(each.find("defval")) if each.find("defval") is not None else "") for each in found]
    return f"template <{', '.join(params)}>\n"


def flags(element):
    return "".join(f"{word} " for word in ("static", "explicit", "constexpr") if element.get(word) == "yes") + (
        "virtual " if element.get("virt") in ("virtual", "pure-virtual") else "")


def declaration(member):
    """A member as one declares it."""
    kind, name = member.get("kind"), member.findtext("name")
    if kind == "enum":
        values = "".join(f"{comment(documentation(each), '  ')}  {each.findtext('name')},\n" for each in member.findall("enumvalue"))
        return f"enum {'class ' if member.get('strong') == 'yes' else ''}{name} {{\n{values}}};"
    if kind == "typedef" and text_of(member.find("definition")).startswith("using"):
        return template_of(member) + tidy(f"using {name} = {text_of(member.find('type'))}") + ";"
    words = flags(member)
    type_name = re.sub(r"\bconstexpr ", "", text_of(member.find("type"))) if "constexpr" in words else text_of(member.find("type"))
    initial = text_of(member.find("initializer")) if kind == "variable" else ""
    return template_of(member) + tidy(f"{words}{type_name} {name}{member.findtext('argsstring') or ''}{initial if initial.startswith('{') else f' {initial}'}") + ";"


def comment(text, indent=""):
    return "".join(f"{indent}// {line}".rstrip() + "\n" for line in text.splitlines())


def indented(text, by):
    return "".join(f"{by}{line}\n" for line in text.splitlines())


class Header:
    """What a header declares, in its order."""

    def __init__(self, path, filtered):
        self.path, self.lines, self.entries = path, filtered.splitlines(), []

    def joins(self, before, after):
        """Whether no blank line parts two declarations."""
        return all(line.strip() for line in self.lines[before - 1:after])

    def groups(self):
        """(documentation, entries that it is about)"""
        found = []
        for entry in sorted(self.entries, key=lambda entry: entry.line):
            last = found[-1][1][-1] if found else None
            if last and not entry.text and (entry.name == last.name or self.joins(last.line, entry.line)):
                found[-1][1].append(entry)
            else:
                found.append((entry.text, [entry]))
        return found


class Entry:
    """A function, type, value or class at namespace scope, or a member of one."""

    def __init__(self, name, line, text, code):
        self.name, self.line, self.text, self.code = name, line, text, code


def class_code(compound, header, nested):
    """A class with its public members, each with its comment."""
    name, kind = compound.findtext("compoundname").split("::")[-1], compound.get("kind")
    bases = [text_of(each) for each in compound.findall("basecompoundref") if each.get("prot") == "public" and "detail" not in text_of(each)]
    members = []
    for section in compound.findall("sectiondef"):
        for member in section.findall("memberdef"):
            code = declaration(member)
            if member.get("prot") == "public" and member.get("kind") != "friend" and not FOR_THE_LIBRARY.search(code):
                members.append((int(member.find("location").get("line")), documentation(member), code))
    members += [(entry.line, entry.text, entry.code) for entry in nested]
    body, last = "", None
    for line, text, code in sorted(members):
        gap = "\n" if last is not None and (text or not header.joins(last, line)) else ""
        body += gap + indented(comment(text) + code, "  ")
        last = line
    head = template_of(compound) + f"{kind} {name}" + (f" : public {', public '.join(bases)}" if bases else "")
    return f"{head} {{\n{' public:' + chr(10) if kind == 'class' and body else ''}{body}}};"


def concept_code(compound):
    code = text_of(compound.find("initializer")).replace(f"concept {compound.findtext('compoundname')}", f"concept {compound.findtext('compoundname').split('::')[-1]}")
    return tidy(code.replace("template<", "template <")) + ";"


def read(include, out):
    """The headers, by name."""
    settings = SETTINGS.format(include=include, out=out, filter=HERE / "doxygen_filter")
    subprocess.run(["doxygen", "-"], input=settings, text=True, check=True)
    headers = {}
    for path in sorted(include.glob("shumai/*.hpp")):
        filtered = subprocess.run([HERE / "doxygen_filter", path], check=True, capture_output=True, text=True).stdout
        headers[path.name] = Header(path, filtered)
    compounds = [ElementTree.parse(file).getroot().find("compounddef") for file in sorted((out / "xml").glob("*.xml"))]
    compounds = [each for each in compounds if each is not None]
    for compound in compounds:
        if compound.get("kind") == "namespace" and compound.findtext("compoundname").startswith("sm"):
            for member in compound.iter("memberdef"):
                at = member.find("location")
                if Path(at.get("file")).name in headers:
                    headers[Path(at.get("file")).name].entries.append(
                        Entry(member.findtext("name"), int(at.get("line")), documentation(member), declaration(member)))
    add_classes([each for each in compounds if each.get("kind") in KINDS and each.findtext("compoundname").startswith("sm")], headers)
    return headers


def add_classes(compounds, headers):
    """Classes within classes are shown there."""
    names = {each.findtext("compoundname") for each in compounds}
    nested = {}
    for compound in sorted(compounds, key=lambda each: -each.findtext("compoundname").count("::")):
        full, at = compound.findtext("compoundname"), compound.find("location")
        # One that is announced elsewhere is where it is defined.
        file = at.get("bodyfile") or at.get("file")
        header = headers[Path(file).name]
        text = documentation(compound)
        code = concept_code(compound) if compound.get("kind") == "concept" else class_code(compound, header, nested.get(full, []))
        entry = Entry(full.split("::")[-1], int(at.get("line" if file == at.get("file") else "bodystart")), text, code)
        outer = full.rsplit("::", 1)[0]
        if outer in names:
            if compound.get("prot") == "public":
                nested.setdefault(outer, []).append(entry)
        else:
            header.entries.append(entry)


def introduction(header):
    """What a header says of itself, before its first namespace."""
    head = header.path.read_text().split("\nnamespace ")[0] + "\n"
    found = re.search(r"^((?:// .*\n)+)\n*\Z", head, re.MULTILINE)
    return re.sub(r"^// ?", "", found[1], flags=re.MULTILINE) + "\n" if found else ""


def prose(text):
    """A comment as Markdown that has no HTML and no links by accident."""
    paragraphs = []
    for paragraph in re.split(r"\n\n(?! )|(?<=:)\n\n", text):
        if paragraph.startswith("  "):
            paragraphs.append(f"```cpp\n{textwrap.dedent(paragraph)}\n```")
            continue
        parts = re.split(r"(`[^`]*`)", paragraph)
        paragraphs.append("".join(
            part if part.startswith("`") else part.replace("<", "&lt;").replace("](", "]\\(") for part in parts))
    return "\n\n".join(paragraphs)


def page(header):
    text = f"# shumai/{header.path.name}\n\n{introduction(header)}"
    for documented, entries in header.groups():
        names = list(dict.fromkeys(entry.name for entry in entries))
        code = "\n".join(entry.code for entry in entries)
        text += f"## {', '.join(names).replace('<', '&lt;').replace('*', chr(92) + '*')}\n\n{prose(documented)}\n\n```cpp\n{code}\n```\n\n"
    return text


def write(root, scratch, out):
    """Writes the pages; returns what has no documentation."""
    out.mkdir(parents=True, exist_ok=True)
    scratch.mkdir(parents=True, exist_ok=True)
    headers = {name: header for name, header in read(root / "include", scratch).items() if header.entries}
    rows = ["# C++\n\n`#include \"shumai/shumai.hpp\"` has all of it. Made from the public headers, by `./dev docs`.\n\n| header | declares |\n| --- | --- |\n"]
    undocumented = []
    for name, header in headers.items():
        (out / f"{header.path.stem}_hpp.md").write_text(page(header))
        listed = list(dict.fromkeys(entry.name for _, entries in header.groups() for entry in entries))
        shown = " ".join(f"`{each}`" for each in listed[:24]) + (f" and {len(listed) - 24} more" if len(listed) > 24 else "")
        rows.append(f"| [{name}]({header.path.stem}_hpp.md) | {shown.replace('|', chr(92) + '|')} |\n")
        undocumented += [f"include/shumai/{name}: {entries[0].name} has no comment" for text, entries in header.groups()
                         if not text and not re.search(r"Options$|^operator", entries[0].name)]
    (out / "index.md").write_text("".join(rows))
    return undocumented
