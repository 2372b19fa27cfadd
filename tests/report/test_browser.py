"""The report as a reader has it: in Chromium, without a network. Skipped where there is no Chromium and driver."""

import shutil

import pytest

webdriver = pytest.importorskip("selenium.webdriver")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="no Chromium here: apt-get install chromium chromium-driver, as `make test` does",
)
SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
)


@pytest.fixture(scope="module")
def browser():
    """A browser of 1280 by 900."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in (*SWITCHES, "--window-size=1280,900"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, hostile_page):
    """The report, freshly opened, in light colours."""
    emulate(browser, "light")
    browser.get("about:blank")
    browser.get(hostile_page.as_uri())
    browser.get_log("browser")
    return browser


def emulate(browser, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def run(page, script):
    return page.execute_script(script)


def press(page, key):
    script = "document.activeElement.blur(); document.dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0]}))"
    page.execute_script(script, key)


def number(page):
    """The number of the window in the viewer."""
    return int(run(page, "return document.querySelector('#viewer .top b').textContent").split()[1].replace(",", ""))


def look_for(page, text):
    script = "const s = document.getElementById('search'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))"
    page.execute_script(script, text)
    page.execute_async_script("setTimeout(arguments[0], 400)")
    return run(page, "return document.getElementById('found').textContent")


def test_it_opens_without_an_error_and_fetches_nothing(browser, hostile_page):
    browser.get(hostile_page.as_uri())
    assert browser.get_log("browser") == []
    assert run(browser, "return performance.getEntriesByType('resource').length") == 0
    assert run(browser, "return document.querySelectorAll('figure svg').length") >= 8


def test_nothing_that_a_document_says_runs_or_becomes_markup(page):
    found = look_for(page, "markup")
    assert not found.startswith("0 of")
    assert "<script>window.broken = 1</script>" in run(page, "return document.getElementById('viewer').textContent")
    assert run(page, "return window.broken === undefined")
    assert run(page, "return document.querySelectorAll('#viewer script, #viewer img, td script, td img').length") == 0
    assert run(page, "return document.querySelectorAll('script').length") == 2
    assert page.get_log("browser") == []


def test_marks_of_direction_are_shown_by_their_codes(page):
    assert not look_for(page, "direction").startswith("0 of")
    odd = run(page, "return [...document.querySelectorAll('#viewer .odd')].map((one) => one.textContent)")
    assert {"\\u202e", "\\u2066", "\\u200e", "\\u2028"} <= set(odd)
    assert "\u202e" not in run(page, "return document.getElementById('viewer').textContent")


def test_a_line_of_a_megabyte_does_not_widen_the_page(page):
    look_for(page, "xxxx")
    assert run(page, "return document.documentElement.scrollWidth <= innerWidth")


def test_the_viewer_steps_by_buttons_and_keys(page):
    first = number(page)
    run(page, "document.querySelector('[data-do=next]').click()")
    second = number(page)
    assert second != first
    press(page, "k")
    assert number(page) == first
    press(page, "ArrowRight")
    assert number(page) == second
    press(page, "m")
    most = float(run(page, "return document.querySelectorAll('#viewer .top b')[1].textContent"))
    press(page, "l")
    assert float(run(page, "return document.querySelectorAll('#viewer .top b')[1].textContent")) < most
    press(page, "r")
    assert number(page) >= 0


def test_keys_typed_into_the_search_step_nothing(page):
    first = number(page)
    press(page, "/")
    assert run(page, "return document.activeElement.id") == "search"
    page.switch_to.active_element.send_keys("jjk")
    page.execute_async_script("setTimeout(arguments[0], 300)")
    assert number(page) == first


def test_a_search_finds_ids_and_numbers_and_steps_through_its_hits(page):
    assert look_for(page, "doc-7").split()[0] != "0"
    wanted = number(page)
    press(page, "j")
    press(page, "k")
    assert number(page) == wanted
    assert look_for(page, "no such text").startswith("0 of")
    assert number(page) == wanted


def test_a_neighbours_window_is_one_click_away(page):
    script = """
        for (let k = 0; k < document.getElementById('pick').options.length; k++) {
          const go = [...document.querySelectorAll('#viewer .near .go:not(:disabled)')]
            .find((one) => !document.querySelector('#viewer .top b').textContent.endsWith(' ' + one.textContent));
          if (go) { const to = go.textContent; go.click(); return Number(to); }
          document.querySelector('[data-do=next]').click();
        }"""
    assert run(page, script) == number(page)


def test_duplicates_stand_side_by_side_with_their_differences(page):
    assert run(page, "return document.querySelectorAll('#copy .sides > div').length") == 2
    seen = set()
    for _ in range(6):
        seen.add(run(page, "return document.querySelector('#copy del')?.textContent ?? ''").strip())
        run(page, "document.querySelector(\"[data-copy='1']\").click()")
    assert "again" in " ".join(seen) or run(page, "return document.querySelector('#copy ins') !== null")


def test_dark_colours_follow_the_system_and_the_button(page):
    colour = "return getComputedStyle(document.body).backgroundColor"
    light = run(page, colour)
    run(page, "document.getElementById('theme').click()")
    dark = run(page, colour)
    assert dark != light
    bar = "return getComputedStyle(document.querySelector('figure svg text')).fill"
    assert run(page, bar) != "rgb(0, 0, 0)"
    press(page, "d")
    assert run(page, colour) == light
    run(page, "delete document.documentElement.dataset.theme")
    emulate(page, "dark")
    assert run(page, colour) == dark


def test_a_phone_shows_it_without_scrolling_sideways(page):
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        assert run(page, "return document.documentElement.scrollWidth") <= 360
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_it_prints(page):
    assert len(page.execute_cdp_cmd("Page.printToPDF", {})["data"]) > 20_000


def test_a_point_of_the_map_tells_its_document(page):
    script = """
        const point = document.querySelectorAll('#map .mark-symbol.role-mark path')[arguments[0]];
        point.dispatchEvent(new PointerEvent('pointermove', {bubbles: true, clientX: 50, clientY: 50}));
        return document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent;"""
    told = [page.execute_script(script, at) for at in range(3)]
    assert all("window" in text for text in told)
    assert run(page, "return document.querySelectorAll('#map .on').length") > 0
