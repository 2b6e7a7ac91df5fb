"""What is wrong with a built site: links that lead nowhere, and anything that a page would load from elsewhere."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to, loads and can be linked to."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        elif tag == "link" and given.get("href"):
            self.loads.append(given["href"])
        for name in ("src", "srcset", "poster", "data", "action"):
            if given.get(name):
                self.loads.append(given[name])
        self.loads += re.findall(r"url\((.*?)\)", given.get("style") or "")
        if "mermaid" in (given.get("class") or "").split():
            self.loads.append("https://a page with a diagram of Mermaid loads that")

    def handle_data(self, data):
        if self.lasttag == "style":
            self.loads += re.findall(r"url\(['\"]?(?!data:)(.*?)['\"]?\)|@import", data)


def is_elsewhere(target):
    parts = urlsplit(target)
    return bool(parts.netloc) or parts.scheme not in ("", "data", "mailto")


def complaints(site):
    pages = {file: Page(file.read_text()) for file in sorted(Path(site).rglob("*.html"))}
    found = []
    for file, page in pages.items():
        name = file.relative_to(site)
        found += [f"{name} loads {target} from elsewhere" for target in page.loads if is_elsewhere(target)]
        for target in [*page.links, *page.loads]:
            if is_elsewhere(target) or target.startswith(("data:", "mailto:", "javascript:")):
                continue
            parts = urlsplit(target)
            at = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            at = at / "index.html" if at.is_dir() else at
            if not at.exists():
                found.append(f"{name} leads to {target}, which isn't there")
            elif parts.fragment and at in pages and unquote(parts.fragment) not in pages[at].anchors:
                found.append(f"{name} leads to {target}, which has no such anchor")
    for file in sorted(Path(site).rglob("*.css")):
        loads = re.findall(r"url\(['\"]?(https?:.*?|//.*?)['\"]?\)|@import\s+['\"](http.*?)['\"]", file.read_text())
        found += [f"{file.relative_to(site)} loads {''.join(target)} from elsewhere" for target in loads]
    return found
