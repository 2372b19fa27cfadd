"""Make the pictures of the documentation: ``python docs/screenshots.py RUN`` leaves ``docs/report*.png``.

RUN is a finished run, of the quickstart for the README. Needs Chromium and its driver (``make test`` installs them).
"""

import shutil
import sys
import tempfile
from pathlib import Path

from selenium import webdriver

from icp.report import write_report

WIDTH, HEIGHT = 1160, 760
PICTURES = {"report": ("light", "#pictures"), "report-window": ("dark", "#windows")}
"""Name of the file -> colours, and the section that is seen."""
STYLE = "header,#look{display:none!important}section{margin-top:12px!important}.text{max-height:9em!important}"
STEPS = "for (let k = 0; k < 12; k++) document.querySelector('[data-do=most]').click();"


def main(run: str) -> None:
    """Open the report of a run, and keep what is seen of it."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for switch in ("--headless=new", "--no-sandbox", "--hide-scrollbars"):
        options.add_argument(switch)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
    with tempfile.TemporaryDirectory() as folder:
        driver.get(write_report(run, Path(folder) / "report.html").as_uri())
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        append = "document.head.append(Object.assign(document.createElement('style'), {textContent: arguments[0]}));"
        driver.execute_script(append + STEPS, STYLE)
        for name, (colours, section) in PICTURES.items():
            driver.execute_script(
                "document.documentElement.dataset.theme = arguments[0];"
                "document.documentElement.style.scrollPaddingTop = '0';"
                "document.querySelector(arguments[1]).scrollIntoView({behavior: 'instant'})",
                colours,
                section,
            )
            driver.save_screenshot(str(Path(__file__).with_name(f"{name}.png")))
    driver.quit()


if __name__ == "__main__":
    main(sys.argv[1])
