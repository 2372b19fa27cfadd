"""`icp report`: what a run holds, and why documents stand together, as one file for a browser.

In: a run, finished or not. Out: ``report.html``, which needs no network: pictures as SVG made by Vega-Lite
(vl-convert), a page made by Jinja, texts as JSON that the page's script shows as text and never as markup. What cannot
be read is named in the report, and the rest is shown.
"""

from icp.report.writing import write_report

__all__ = ["write_report"]
