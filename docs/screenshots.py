"""Make the pictures of the documentation: ``python docs/screenshots.py RUN`` leaves ``docs/report.png``.

RUN is a finished run, of the quickstart for the README. Needs Chromium and its driver (``make test`` installs them).
"""

import shutil
import sys
import tempfile
from pathlib import Path

from selenium import webdriver

from icp.report import write_report

WIDTH, HEIGHT = 1240, 820
STYLE = "header{position:static!important}main{padding-top:0!important}#pictures{margin-top:10px!important}"


def main(run: str) -> None:
    """Open the report of a run, put the map and a window side by side, and keep what is seen."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for switch in ("--headless=new", "--no-sandbox", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}"):
        options.add_argument(switch)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    with tempfile.TemporaryDirectory() as folder:
        driver.get(write_report(run, Path(folder) / "report.html").as_uri())
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.execute_script(
            "document.head.append(Object.assign(document.createElement('style'), {textContent: arguments[0]}));"
            "document.querySelector('[data-do=most]').click(); document.querySelector('[data-do=most]').click();"
            "document.querySelector('#pictures').scrollIntoView({behavior: 'instant'})",
            STYLE,
        )
        driver.save_screenshot(str(Path(__file__).with_name("report.png")))
    driver.quit()


if __name__ == "__main__":
    main(sys.argv[1])
