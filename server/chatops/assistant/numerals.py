"""Numbers in what people and models write: which are figures, of what value and precision.

English and Korean; percent, thousands, magnitudes. A number is judged by what stands around it, at
most ``LEFT`` characters before and ``RIGHT`` after it, so that a text may come in pieces.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

LEFT = 200
RIGHT = 28

NUMBER = re.compile(
    r"(?P<man>\d[\d,]*)만 ?(?P<rest>\d[\d,]*)(?P<thousand>천)?(?![.\d])"
    r"|\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!,?\d)|\d+(?:\.\d+)?"
)
"""One number from its first digit to its last; ``12만 3,456`` is one too."""

_UNIT = re.compile(
    r"[ \u00a0\u202f]?(?:(?P<percent>%p?|％|퍼센트|프로|(?:percent|pct|pp)\b)"
    r"|(?P<points>(?:bps?|basis points?)\b)"
    r"|(?P<scale>[kKmMB](?![A-Za-z])|(?:bn|mn|thousand|million|billion)\b|백만|[천만억]))"
)
_SCALES = {
    **dict.fromkeys(("k", "K", "thousand", "천"), 1e3),
    **dict.fromkeys(("m", "M", "mn", "million", "백만"), 1e6),
    **dict.fromkeys(("B", "bn", "billion"), 1e9),
    "만": 1e4,
    "억": 1e8,
}
_MINUS = re.compile(r"(?:^|[\s(\[|*_~:=\"'`>])[-−–][$€₩£]?\.?$")
_PLUS = re.compile(r"\+[$€₩£]?\.?$")
_MONEY = re.compile(r"(?:[$€₩£]|\b(?:USD|KRW|EUR)) ?[-−–]?\.?$")
_ABOUT = re.compile(
    r"(?:\b(?:about|around|roughly|nearly|almost|approximately)|[~≈]|약|대략|거의)"
    r"[ *_]*[-−–+]?[$€₩£]?$",
    re.IGNORECASE,
)
_RANGE = re.compile(r" ?(?:[-–~]|to) ?[-−]?\d[\d.,]* ?[%％]")

_METRICS = {
    "total": r"total returns?\b|총 ?수익률?",
    "annual": r"annual(?:i[sz]ed)? returns?\b|cagr|연(?:간|평균|환산)? ?수익률?",
    "return": r"returns?\b|cagr|수익률?",
    "sharpe": r"sharpe|샤프",
    "sortino": r"sortino|소르티노",
    "calmar": r"calmar|칼마",
    "drawdown": r"drawdowns?|mdd|낙폭",
    "volatility": r"volatility|변동성",
    "var": r"\bvar\b",
    "cvar": r"\bcvar\b",
    "win": r"win rate|hit rate|승률",
    "profit": r"profit factor|손익비",
    "trades": r"trades?\b|거래(?!일)",
    "exposure": r"exposure|노출도?",
    "equity": r"equity|\bcash\b|자산",
    "score": r"\bscores?\b|점수",
    "correlation": r"correlation|상관",
    "probability": r"probability|\bahead\b|확률",
}
_METRIC = "|".join(_METRICS.values())
_METRIC_RULES = {name: re.compile(rule, re.IGNORECASE) for name, rule in _METRICS.items()}
_JOINED = (
    r"(?:[\s:=|*_`(~≈$€₩£+−–-]|ratio|factor|95 ?%?\)?|\b(?:of|is|was|were|at|about|around|roughly"
    r"|approximately|nearly|only|just|reached)\b|비율|횟수|건수|[은는이가도률수총약])"
)
_TOLD = re.compile(rf"({_METRIC}){_JOINED}{{1,16}}\.?\Z", re.IGNORECASE)
_ROW = re.compile(
    rf"(?:\A|\n)[\s|*_`]*({_METRIC})[\s|*_`:]*(?:ratio|95|비율)?[\s|*_`:]*"
    r"(?:[-−–+$]*\d[\d.,]* ?%?[\s|*_`]+)*[-−–+$]*\Z",
    re.IGNORECASE,
)
_OF_METRIC = re.compile(rf"(?:{_METRIC})[^\n.;,|\d]{{0,16}}$", re.IGNORECASE)
_VALUE_OF_METRIC = re.compile(rf"(?:{_METRIC})[\s*_`]*[:=|][\s*_`]*$", re.IGNORECASE)
_COUNT = re.compile(
    r"[ \u00a0*_-]*(?:(?:closed |round-trip )?(?:trades?|bars?)\b|거래(?!일)|매매|회(?!사)|건)",
    re.IGNORECASE,
)
_COUNTED = re.compile(
    r"(?:\btrades|\bbars|거래(?: ?(?:횟수|건수|수))?)(?: (?:is|was|were|of)|[은는이가])?"
    r"[\s*_`:=|]*(?:총|약)? ?$",
    re.IGNORECASE,
)
_THING = re.compile(
    r"[ *_-]?(?:of|years?|months?|weeks?|days?|hours?|minutes?|strateg|symbol|stock|run|back"
    r"|member|path|time|step|개|종목|전략|년|월|일|주|가지|번|명|위)",
    re.IGNORECASE,
)
_CELL = re.compile(r"[^\n|]\|[ *_]*$"), re.compile(r"[ *_]*\|")

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_NAMES = (
    # (before, after): ids, versions, dates, times, addresses and places in a list.
    (r"[A-Za-z_]\Z|[A-Za-z]-\Z", ""),
    ("", r"[a-z_]+\d|(?:st|nd|rd|th|[mhdw]|ms|min|s)\b(?!-)|_|o\b"),
    ("", r"[-/.]\d{1,2}[-/.](?:19|20)\d\d(?!\d)"),
    (r"\d[-/.]\Z", r"[-/.](?:19|20)\d\d(?!\d)"),
    (r"(?<!\d)(?:19|20)\d\d[-/.](?:\d{1,2}[-/.])?\Z", ""),
    (rf"\b{_MONTH}\.? \Z|월 ?\Z", ""),
    ("", rf"(?:st|nd|rd|th)? (?:of )?{_MONTH}\b|(?: ?월|분기|위|번째|차)"),
    (r"\d:\Z", ""),
    ("", r":\d\d"),
    (r"(?:://|\]\(|(?<![\w.])/[A-Za-z])[^\s)]*\Z", ""),
    (r"(?:\A|\n)[\s>*_#-]*\(?\Z", r"[.)](?:\s|\*|\Z)"),
    (r"(?:\A|\n)\s*\|\s*\Z|#\Z|\bNo\.? ?\Z", ""),
    (r"(?:S&P|Nasdaq|Russell|Nikkei|FTSE|KOSPI|코스피) ?\Z", ""),
)
_HARMLESS = (
    # What commands are given, and lengths that are names.
    (r"(?:\A|[\n`])/[a-z][a-z_]*(?: [^\s`]+)* \Z", ""),
    ("", r"-(?:day|week|month|year|bar|period|minute|hour)|일 ?(?:선|이동|이평)"),
)
_GIVEN = re.compile(r"(?<!\w)[a-z][a-z_]*=[-−]?\Z", re.IGNORECASE)
_LEVELS = ((r"\bC?VaR[\s_(@-]*\Z", ""), ("", r" ?[%％]? ?(?:C?VaR\b|confidence|신뢰)"))


def _compiled(rules: tuple[tuple[str, str], ...]) -> list[tuple[re.Pattern[str], re.Pattern[str]]]:
    return [(re.compile(before), re.compile(after)) for before, after in rules]


_NAME_RULES, _HARMLESS_RULES, _LEVEL_RULES = map(_compiled, (_NAMES, _HARMLESS, _LEVELS))


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number as somebody wrote it.

    Attributes:
        text: Its digits with their unit.
        magnitude: Its value without sign; percent stay percent, ``12k`` is 12,000.
        half: Half a unit of the last place that was written.
        sign: -1 or 1 where one was written, else 0.
        percent: It is so many percent.
        count: It counts trades or bars.
        whole: Written without a decimal point, unit and magnitude.
        metrics: What it is said to be a figure of, if that is clear.
    """

    text: str
    magnitude: float
    half: float
    sign: int
    percent: bool
    count: bool
    whole: bool
    metrics: frozenset[str]


def metrics_in(text: str) -> frozenset[str]:
    """Return the kinds of figures that a text names."""
    return frozenset(name for name, rule in _METRIC_RULES.items() if rule.search(text))


def numerals(text: str) -> Iterator[tuple[Numeral, str, str]]:
    """Yield each number that is no part of a name, a date or an address, with what is around."""
    at = 0
    while (found := NUMBER.search(text, at)) is not None:
        at = found.end()
        left = text[max(found.start() - LEFT, 0) : found.start()]
        right = text[at : at + RIGHT]
        if not is_name(left, found[0], right):
            yield numeral(left, found, right), left, right


def numeral(left: str, found: re.Match[str], right: str) -> Numeral:
    """Return what the number means between what stands left and right of it."""
    unit = _UNIT.match(right)
    kind = unit.lastgroup if unit else None
    scale = _SCALES[unit["scale"]] if unit and kind == "scale" else 1.0
    if kind == "points":
        scale = 0.01
    if found["man"]:
        rest = 1e3 if found["thousand"] else 1.0
        magnitude = _float(found["man"]) * 1e4 + _float(found["rest"]) * rest
        place, kind, scale = rest, "scale", scale
    else:
        before = "." if re.search(r"(?<!\d)\.\Z", left) else ""
        digits = f"{before}{found[0]}"
        magnitude = _float(digits)
        place = 10.0 ** -len(digits.partition(".")[2])
        if place == 1 and _ABOUT.search(left):
            zeros = len(digits) - len(digits.rstrip("0,").rstrip(",")) - digits.count(",")
            place = 10.0 ** max(min(zeros, sum(map(str.isdigit, digits)) - 2), 0)
    return Numeral(
        text=found[0] + (unit[0] if unit else ""),
        magnitude=magnitude * scale,
        half=place * scale / 2,
        sign=-1 if _MINUS.search(left) else 1 if _PLUS.search(left) else 0,
        percent=kind in ("percent", "points") or _RANGE.match(right) is not None,
        count=kind is None and bool(_COUNT.match(right) or _COUNTED.search(left)),
        whole=kind is None and place == 1,
        metrics=_metrics(left, right),
    )


def _metrics(left: str, right: str) -> frozenset[str]:
    """Return what the words next to a number say that it is; a table's row has several."""
    if told := _TOLD.search(left) or _ROW.search(left):
        return metrics_in(told[1])
    counted = _COUNT.match(right)
    return metrics_in(counted[0]) if counted else frozenset()


def ends_word(left: str, right: str) -> bool:
    """Whether the number is the end of a word, such as ``word7``; the next character tells."""
    return re.search(r"[A-Za-z_]\Z", left) is not None and right[:1] not in ("", *".,만%％")


def is_name(left: str, digits: str, right: str) -> bool:
    """Whether the number is part of a name, a date, an address, or numbers a list."""
    if ends_word(left, right):
        return True
    if re.search(r"\d\.\Z", left) or ("." in digits and re.match(r"\.\d", right)):
        return True  # 2.4.6, 2005.01.31
    unit = _UNIT.match(right)
    if not digits.isdecimal() or (unit and unit["percent"]):
        return bool(re.search(r"\b[vV]\Z|://[^\s)]*\Z", left))
    return _by(_NAME_RULES, left, right) or (_is_year(digits) and not _is_value(left, right))


def is_figure(one: Numeral, left: str, right: str) -> bool:
    """Whether the number claims something that a result has to bear out."""
    if _GIVEN.search(left) and not _OF_METRIC.search(left):
        return False  # fee=0.002
    if one.magnitude in (90, 95, 99) and _by(_LEVEL_RULES, left, right):
        return False  # VaR 95
    if not one.whole:
        return True
    if _by(_HARMLESS_RULES, left, right):
        return False
    if one.magnitude == 252 and re.match(r" (?:trading |business )?days|거래일| ?일", right):
        return False  # of a year
    small = one.magnitude <= 10 and not one.sign
    return not small or _is_value(left, right) or _of_metric(left, right)


def _is_value(left: str, right: str) -> bool:
    """Whether the number cannot be a year, a place or a few of something."""
    cell = bool(_CELL[0].search(left) and _CELL[1].match(right))
    told = _MONEY.search(left) or _VALUE_OF_METRIC.search(left) or _COUNT.match(right)
    return bool(told) or cell or _UNIT.match(right) is not None


def _of_metric(left: str, right: str) -> bool:
    return bool(_OF_METRIC.search(left)) and not _THING.match(right)


def _is_year(digits: str) -> bool:
    return len(digits) == 4 and digits[:2] in ("19", "20")


def _by(rules: list[tuple[re.Pattern[str], re.Pattern[str]]], left: str, right: str) -> bool:
    return any(before.search(left) and after.match(right) for before, after in rules)


def _float(digits: str) -> float:
    return float(digits.replace(",", ""))
