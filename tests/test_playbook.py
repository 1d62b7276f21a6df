"""A playbook that contradicts itself is refused with one sentence that says where."""

import re
import tomllib

import pytest

from propensity import playbook
from propensity.features import required_columns
from propensity.playbook import PlaybookError

SMALL = """
name = "small"
currency = "EUR"

[learning]
salt = "s"

[features]
numeric = ["tenure_months"]
categorical = ["region"]

[archetypes.sorry]
answers = ["service_problem"]
message = "m"
made_by = "b"
speaker = "s"
length_seconds = [60, 90]

[archetypes.sorry.brief]
say_that_they_left = "a"
what_changed = "b"
proof = "c"
next_step = "d"
past_relationship = "e"
close = "f"

[channels.email]
cost_currency = 0.02
needs_consent = true

[channels.letter]
cost_currency = 1.5

[offers.none]

[offers.discount]
cost_if_redeemed_currency = 20.0
excluded_reasons = ["service_problem"]

[actions.sorry_email]
archetype = "sorry"
channel = "email"

[actions.sorry_letter]
archetype = "sorry"
channel = "letter"
offer = "discount"
"""


def changed(old, new):
    assert old in SMALL
    return SMALL.replace(old, new)


def refusal(text):
    with pytest.raises(PlaybookError) as caught:
        playbook.parse(text, source="shop.toml")
    message = str(caught.value)
    assert message.startswith("playbook shop.toml: ")
    assert "\n" not in message
    assert "pydantic" not in message.lower()
    return message


def test_small_playbook_is_read():
    book = playbook.parse(SMALL)
    assert book.labels == ["sorry_email", "sorry_letter"]
    assert book.archetype_of_reason() == {"service_problem": "sorry"}
    assert book.actions["sorry_email"].offer == "none"


def test_only_channels_in_use_ask_for_consent():
    text = SMALL + "\n[channels.sms]\nneeds_consent = true\n"
    assert playbook.parse(text).consent_channels == ["email"]


def test_factors_have_one_categorical_row_an_action():
    factors = playbook.parse(SMALL).factors()
    assert list(factors.index) == ["sorry_email", "sorry_letter"]
    assert list(factors.columns) == ["archetype", "channel", "offer"]
    assert factors.loc["sorry_letter"].tolist() == ["sorry", "letter", "discount"]
    assert all(str(dtype) == "category" for dtype in factors.dtypes)


def with_table(toml, message):
    return ("[actions.sorry_email]", f"{toml}\n[actions.sorry_email]", message)


WRONG = [
    ('offer = "discount"', 'offer = "discont"', r"actions\.sorry_letter\.offer: .*none, discount.*'discont'"),
    ('archetype = "sorry"\nchannel = "email"', 'archetype = "sory"\nchannel = "email"', r"archetype: .*sorry.*'sory'"),
    ('channel = "letter"', 'channel = "leter"', r"actions\.sorry_letter\.channel: .*email, letter.*'leter'"),
    ('salt = "s"', 'slat = "s"', r"learning\.salt: is missing; learning\.slat: .*misspelt"),
    ('salt = "s"', 'salt = ""', r"learning\.salt: .*found ''"),
    ('salt = "s"', 'salt = "s"\nholdout_share = 1.5', r"learning\.holdout_share: expected less than 1, found 1\.5"),
    ("[learning]", "[guardrails]\nbounced_share = 2\n[learning]", r"guardrails\.bounced_share: .*less than 1, found 2"),
    ("[learning]", "[guardrails]\nbounces = 0.2\n[learning]", r"guardrails\.bounces: .*misspelt"),
    ('currency = "EUR"', 'currency = "Euro"', r"currency: .*found 'Euro'"),
    ("cost_currency = 0.02", "cost_currency = -1", r"channels\.email\.cost_currency: .*found -1"),
    ("cost_currency = 0.02", "cost_currency = inf", r"channels\.email\.cost_currency: .*found inf"),
    ("cost_currency = 0.02", "cost_currency = nan", r"channels\.email\.cost_currency: .*found nan"),
    ("cost_currency = 0.02", 'cost_currency = "cheap"', r"channels\.email\.cost_currency: .*number.*found 'cheap'"),
    ('["region"]', '["region", "tenure_months"]', r"features: tenure_months is listed as numeric and as categorical"),
    ("[actions.sorry_email]", "[actions.control]", r"actions\.control: .*no contact.*another label"),
    (
        'excluded_reasons = ["service_problem"]',
        'excluded_archetypes = ["sorry"]',
        r"actions\.sorry_letter: offer 'discount' excludes archetype 'sorry', so nobody could ever get",
    ),
    (
        'excluded_reasons = ["service_problem"]',
        'excluded_archetypes = ["sory"]',
        r"offers\.discount\.excluded_archetypes: .*sorry.*found 'sory'",
    ),
    ("[learning]", "[program]\nhorizon_days = 30\n[learning]", r"program.horizon_days: must be more"),
    (
        "[learning]",
        '[program]\ntime_zone = "Berlin"\n[learning]',
        r"program\.time_zone: .*'Europe/Berlin', found 'Berlin'",
    ),
    (
        '["service_problem"]\nmessage',
        '["servce"]\nmessage',
        r"archetypes\.sorry\.answers: .*service_problem.*found 'servce'",
    ),
    (
        "[60, 90]",
        "[90, 60]",
        r"archetypes\.sorry: length_seconds: expected the shortest and the longest, found \[90, 60\]",
    ),
    ("needs_consent = true", "capacity_per_week = 0", r"actions\.sorry_email: channel 'email' has a capacity of 0"),
    ("needs_consent = true", "window_days = [30, 20]", r"channels\.email: window_days: expected the first day"),
    (
        "needs_consent = true",
        "window_days = [5, 20]",
        r"channels\.email\.window_days: ends inside the cooling-off time",
    ),
    (
        "needs_consent = true",
        'quiet_hours = { start = "21:00", end = "21:00" }',
        r"quiet_hours: start and end are both 21:00",
    ),
    ("needs_consent = true", 'quiet_hours = { start = "21:00", end = "soon" }', r"quiet_hours\.end: .*found 'soon'"),
    ('["region"]', '["region"]\nprotected = ["region"]', r"features\.protected: region is a feature too"),
    with_table('[[never]]\nfirst = "sorry_email"\nthen = "offer:free"', r"never\.0\.then: .*'offer:free'"),
    with_table('[[sequence]]\nchannels = ["fax"]', r"sequence\.0\.channels: .*'fax'"),
    with_table('[[seasons]]\nname = "x"\nfirst_day = "02-30"\nlast_day = "03-01"', r"first_day: .*'02-30'"),
    with_table("[tiers.individual]\n[tiers.mass]", r"tiers\.individual\.min_annual_value_currency: .* mass"),
    with_table("[tiers.top]", r"tiers\.top.*individual.*found 'top'"),
    with_table('[[changes]]\non = 2026-02-30\nwhat = "x"', r"not valid TOML"),
    with_table('[[changes]]\non = "soon"\nwhat = "x"', r"changes\.0\.on: .*found 'soon'"),
    ("needs_consent = true", "window_days = [600, 700]", r"channels\.email\.window_days: begins after .*\(548\)"),
    with_table(
        '[[seasons]]\nname = "all"\nfirst_day = "03-01"\nlast_day = "02-29"\nclosed_channels = ["email"]',
        r"seasons\.0: 'all' lasts the whole year, so email would rest for ever",
    ),
    with_table(
        "[budget]\ncurrency_per_wave = 0.01",
        r"budget\.currency_per_wave: expected at least what one contact costs \(0\.02 by email\), found 0\.01",
    ),
    with_table(
        '[channels.fax]\n[tiers.mass]\nonly_channels = ["fax"]',
        r"tiers\.mass\.only_channels: .* action uses, email, letter, found fax, so nobody of this tier",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), WRONG, ids=[f"{i}-{w[1][:25]}" for i, w in enumerate(WRONG)])
def test_what_cannot_be_is_refused_by_place(old, new, message):
    assert re.search(message, refusal(changed(old, new)))


def test_each_mistake_has_its_line():
    text = changed("cost_currency = 1.5", "cost_currency = -1.5").replace('channel = "email"', 'channel = "fax"')
    text += '[[changes]]\non = 2026-01-01\nwhat = "a"\n[[changes]]\non = 2026-01-02\nwhat = "b"\ncloses = ["prize"]\n'
    lines = text.splitlines()
    with pytest.raises(PlaybookError) as caught:
        playbook.parse(text)
    assert [lines[m.line - 1] for m in caught.value.mistakes] == ["cost_currency = -1.5"]
    # what parts say of each other is looked at when each is right in itself
    with pytest.raises(PlaybookError) as caught:
        playbook.parse(text.replace("-1.5", "1.5"))
    assert [lines[m.line - 1] for m in caught.value.mistakes] == ['channel = "fax"', 'closes = ["prize"]']


def test_what_is_missing_has_the_line_of_its_table():
    text = changed('salt = "s"', "")
    with pytest.raises(PlaybookError) as caught:
        playbook.parse(text)
    assert text.splitlines()[caught.value.mistakes[0].line - 1] == "[learning]"


def test_broken_toml_has_its_line():
    with pytest.raises(PlaybookError) as caught:
        playbook.parse('name = "x"\n\ncurrency = EUR\n')
    assert [m.line for m in caught.value.mistakes] == [3]


def test_a_name_stands_for_one_action_or_for_all_of_a_part():
    book = playbook.parse(SMALL)
    assert book.actions_named("sorry_email") == ["sorry_email"]
    assert book.actions_named("archetype:sorry") == ["sorry_email", "sorry_letter"]
    assert book.actions_named("channel:letter") == ["sorry_letter"]
    assert book.actions_named("price:low") == book.actions_named("letter") == []


def test_a_season_may_go_past_the_new_year():
    text = SMALL + '[[seasons]]\nname = "holidays"\nfirst_day = "12-20"\nlast_day = "01-06"\n'
    (season,) = playbook.parse(text).seasons
    days = ["12-19", "12-20", "01-06", "01-07", "02-29"]
    assert [season.holds(day) for day in days] == [False, True, True, False, False]


def test_no_action_is_refused():
    text = SMALL[: SMALL.index("[actions.sorry_email]")] + "[actions]\n"
    assert "expected at least one action" in refusal(text)


def test_a_reason_has_one_answer():
    text = SMALL + SMALL[SMALL.index("[archetypes.sorry]") : SMALL.index("[channels.email]")].replace("sorry", "again")
    assert "archetypes.again.answers: reason 'service_problem' is already answered by 'sorry'" in refusal(text)


def test_all_faults_of_a_file_are_named_at_once():
    text = changed('currency = "EUR"', 'currency = "?"').replace("1.5", "-1.5").replace('salt = "s"', "")
    message = refusal(text)
    assert all(place in message for place in ("currency:", "channels.letter.cost_currency:", "learning.salt:"))


def test_broken_toml_names_the_line():
    assert re.search(r"is not valid TOML: .*line 3", refusal('name = "x"\n\ncurrency = EUR\n'))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00 = 1", b"just words\n", b"\x00"])
def test_a_file_that_is_no_playbook_is_a_playbook_error(tmp_path, content):
    file = tmp_path / "junk.toml"
    file.write_bytes(content)
    with pytest.raises(PlaybookError, match=re.escape(f"playbook {file}: ")):
        playbook.load(file)


def test_a_missing_file_names_the_playbooks_that_there_are(tmp_path):
    with pytest.raises(PlaybookError, match=r"gone\.toml: cannot be read .*No such file.*default, hillstrom"):
        playbook.load(tmp_path / "gone.toml")


def test_a_directory_is_no_playbook(tmp_path):
    with pytest.raises(PlaybookError, match="cannot be read"):
        playbook.load(tmp_path)


def test_a_byte_order_mark_does_no_harm(tmp_path):
    file = tmp_path / "windows.toml"
    file.write_text(SMALL, encoding="utf-8-sig")
    assert playbook.load(file) == playbook.parse(SMALL)


def test_version_is_the_content_and_nothing_else():
    version = playbook.parse(SMALL).version
    assert re.fullmatch("[0-9a-f]{12}", version)
    assert playbook.parse("# a comment\n" + SMALL, source="elsewhere").version == version
    assert playbook.parse(changed("cost_currency = 1.5", "cost_currency = 1.50")).version == version
    assert playbook.parse(changed("cost_currency = 1.5", "cost_currency = 1.6")).version != version


def test_version_knows_the_order_of_actions_and_of_nothing_else():
    version = playbook.parse(SMALL).version
    email, letter = SMALL.index("[actions.sorry_email]"), SMALL.index("[actions.sorry_letter]")
    swapped = SMALL[:email] + SMALL[letter:] + "\n" + SMALL[email:letter]
    assert list(playbook.parse(swapped).actions) == ["sorry_letter", "sorry_email"]
    assert playbook.parse(swapped).version != version
    email, letter, offers = (SMALL.index(x) for x in ("[channels.email]", "[channels.letter]", "[offers.none]"))
    assert (
        playbook.parse(SMALL[:email] + SMALL[letter:offers] + SMALL[email:letter] + SMALL[offers:]).version == version
    )


@pytest.mark.parametrize("name", sorted(playbook.shipped()))
def test_shipped_playbooks_are_read_by_name_and_named_so(name):
    assert playbook.load(name).name == name
    assert tomllib.loads(playbook.shipped()[name].read_text())["name"] == name


def test_a_playbook_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        playbook.parse(SMALL).name = "other"


def test_what_was_worked_out_belongs_to_one_playbook():
    book, same = playbook.load("default"), playbook.load("default")
    before = book.version, required_columns(book)
    assert required_columns(book) is before[1]
    assert book == same
    assert "derived" not in book.model_dump()
    only = book.model_copy(update={"features": book.features.model_copy(update={"numeric": ("tenure_months",)})})
    assert (only.version, required_columns(only)) != before
    assert [c.name for c in required_columns(only) if c.kind == "number"] == ["tenure_months"]
    assert (book.version, required_columns(book)) == before == (same.version, required_columns(same))
