"""Anchors of headings as GitHub makes them, for mkdocs.yml."""

import re


def slug(text, separator):
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", separator)
