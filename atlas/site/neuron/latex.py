"""LaTeX macros that print a neuron as a chip: its picture at the height of the text, linked to its page."""

from __future__ import annotations

import re

from atlas.core.neuron import Layer
from atlas.site import urls
from atlas.site.reading.catalogue import Catalogue

# Names that TeX can read without escaping. A layer with another name is called by its slug.
_PLAIN = re.compile(r"[A-Za-z0-9_./:+-]+(?: [A-Za-z0-9_./:+-]+)*")

_MACROS = r"""\NeedsTeXFormat{LaTeX2e}
\ProvidesPackage{neurons}
\RequirePackage{graphicx}
\RequirePackage{hyperref}

% \atlasurl{https://a.org/atlas/}: where the atlas is published. Without it chips are not links.
\newcommand*{\atlasurl}{\begingroup
  \catcode`\%=12 \catcode`\#=12 \catcode`\~=12 \catcode`\_=12 \catcode`\&=12 \catcode`\^=12
  \neurons@seturl}
\newcommand*{\neurons@url}{}
\def\neurons@seturl#1{\neurons@noslash#1\@nil/\@nil\neurons@end\endgroup}
\def\neurons@noslash#1/\@nil#2\neurons@end{\neurons@nonil#1\@nil\neurons@end}
\def\neurons@nonil#1\@nil#2\neurons@end{\gdef\neurons@url{#1}}

% \atlasfolder{atlas}: a folder next to the paper with the atlas's images/. Without a picture a chip is text.
\newcommand*{\neurons@folder}{}
\newcommand*{\atlasfolder}[1]{\def\neurons@folder{#1/}}

% \neuron{mixed3b}{379}: picture and name; \neuron*{mixed3b}{379}: the picture alone.
\DeclareRobustCommand*{\neuron}{\@ifstar{\neurons@chip\@gobble}{\neurons@chip\@firstofone}}
\newcommand*{\neurons@of}[3]{%
  \ifcsname neurons@#1@#2\endcsname\csname neurons@#1@#2\endcsname\else#3\fi}
\newcommand*{\neurons@chip}[3]{\begingroup
  \edef\neurons@name{\detokenize{#2}}%
  \edef\neurons@stem{\neurons@of{slug}{\neurons@name}{\neurons@name}\string_\number#3}%
  \edef\neurons@file{\neurons@folder images/\neurons@of{in}{\neurons@name}{neuron}/\neurons@stem.jpg}%
  \edef\neurons@page{\neurons@url/\neurons@stem.html}%
  \def\neurons@text{\texttt{\neurons@name:\number#3}}%
  \IfFileExists{\neurons@file}{%
    \def\neurons@look{\neurons@picture#1{\,\neurons@text}}%
  }{\let\neurons@look\neurons@text}%
  \leavevmode
  \ifx\neurons@url\@empty\neurons@look\else\href{\neurons@page}{\neurons@look}\fi
  \endgroup}
\newcommand*{\neurons@picture}{\raisebox{-\dp\strutbox}{%
  \includegraphics[height=\dimexpr\ht\strutbox+\dp\strutbox\relax]{\neurons@file}}}
\pdfstringdefDisableCommands{\def\neuron#1#2{#1:#2}}

% Layers with other file names or another folder of pictures.
\newcommand*{\neurons@layer}[3]{%
  \expandafter\def\csname neurons@slug@\detokenize{#1}\endcsname{#2}%
  \expandafter\def\csname neurons@in@\detokenize{#1}\endcsname{#3}}
"""


def neurons_sty(catalogue: Catalogue, url: str = "") -> bytes:
    r"""Return a LaTeX package with the macro `\neuron{layer}{n}`; its pictures come from a copy of the site.

    The macro accepts a layer's name or its slug. `url` is the address of the site, to which chips link.
    """
    lines = [
        "% Chips of neurons for papers: \\neuron{layer}{number}. One file for a whole circuit atlas.",
        f"% Model SHA-256 {re.sub(r'[^0-9a-f]', '', catalogue.model.sha256)}",
        _MACROS + "\\catcode`\\_=12\\relax",
    ]
    for record in catalogue.atlas.layers:
        layer = catalogue.layer(record.layer)
        variant = catalogue.main_variant(layer.name) or urls.MAIN_VARIANT
        names = dict.fromkeys(name for name in (layer.name, layer.slug) if _PLAIN.fullmatch(name))
        if layer.name != layer.slug or variant != urls.MAIN_VARIANT:
            lines += [f"\\neurons@layer{{{name}}}{{{layer.slug}}}{{{variant}}}" for name in names]
    lines.append("\\catcode`\\_=8\\relax")
    if url:
        lines.append(f"\\atlasurl{{{url}}}")
    return "\n".join([*lines, "\\endinput", ""]).encode()


def chip(layer: Layer, index: int) -> str:
    r"""Return the LaTeX that prints a neuron as a chip: `\neuron{mixed3b}{379}`."""
    name = layer.name if _PLAIN.fullmatch(layer.name) else layer.slug
    return f"\\neuron{{{name}}}{{{index}}}"
