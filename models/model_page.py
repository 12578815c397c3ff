"""A model's report as one page that opens without a network."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from models import markup

if TYPE_CHECKING:
    from models.label_errors import LabelError
    from models.model_report import ModelReport, Shown

_MATRIX_CLASSES: Final = 20  # with more, the matrix cannot be read and pairs are listed
_PAIRS: Final = 20
_LABELS: Final = 60
_LEAST_WEIGHT: Final = 0.4  # of a word, -1..1; what weighs less is not marked
_STRONG_WEIGHT: Final = 0.7
_STYLE: Final = """
h2 { margin-top: 2.2rem } h3 { margin: 1.4rem 0 .6rem; font-size: 1rem }
.lead { font-size: 1.25rem }
.bar { display: inline-block; height: .7rem; background: #5b8def; border-radius: 2px;
  margin-right: .5rem; vertical-align: baseline }
.scroll { overflow-x: auto } .scroll td, .scroll th { white-space: nowrap }
@media (max-width: 36rem) {
  .bar { display: none } /* the numbers beside them are what a phone has room for */
  .scroll { font-size: .8125rem }
  .scroll th:not(.row, .column) { white-space: normal; overflow-wrap: normal }
  .scroll td, .scroll th { padding-left: .2rem; padding-right: .2rem }
}
.matrix td, .matrix th { border: 0; text-align: center; padding: .3rem .5rem; min-width: 2.2rem }
.matrix th.row { text-align: right; font-weight: 400 }
.matrix th.column { font-weight: 400; vertical-align: bottom; writing-mode: vertical-rl;
  transform: rotate(180deg); text-align: left }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(140px, 1fr)); gap: .8rem }
.cards.texts { grid-template-columns: repeat(auto-fill, minmax(260px, 1fr)) }
figure { margin: 0 }
figure img { width: 100%; max-width: 140px; border-radius: 6px; display: block }
figcaption { font-size: .8rem; line-height: 1.35; overflow-wrap: anywhere }
figcaption .note { font-size: inherit }
blockquote { margin: 0 0 .2rem; padding: .4rem .6rem; border-left: 3px solid #5b8def;
  background: rgba(91, 141, 239, .09); font-size: .9rem; overflow-wrap: anywhere }
.why { grid-column: span 2 } .pair { display: flex; gap: 3px }
.pair img { flex: 1; min-width: 0; max-width: 50% }
mark { color: inherit; background: none; border-radius: 3px; padding: 0 .12em }
mark.for { box-shadow: inset 0 -2px #e69f00 }
mark.strong { background: rgba(230, 159, 0, .5); font-weight: 600; box-shadow: none }
mark.against { text-decoration: underline dotted #3d9be0 2px; text-underline-offset: 3px }
.axis { stroke: currentColor; stroke-opacity: .35 }
.note { opacity: .75; font-size: .9rem }
svg { max-width: 100%; height: auto } svg text { fill: currentColor; font-size: 12px }
"""


def model_page(report: "ModelReport") -> str:
    """Return the report as one HTML document without scripts or outside resources."""
    title = f"Model {markup.text(report.model_version)} of {markup.text(report.project)}"
    parts = [
        f"<p class='lead'>{markup.text(_capitalised(report.sentence))}.</p>",
        f"<p class='note'>{markup.text(report.backbone)}, "
        f"{report.bundle_size_bytes / 1e6:.1f} MB, {report.latency_ms:.1f} ms an answer on one "
        f"core. Data set <code>{markup.text(report.dataset_version[:12])}</code>; none of its "
        "test examples was learnt from.</p>",
        _section("Each class", _classes(report)),
        _section("What is taken for what", _confusion(report)),
        _section("How sure it is, and how right", _calibration(report)),
        _section("None of the classes", _rejection(report)),
        _section("Training", _curves(report.epochs)),
        _section("Wrong answers, the most confident first", _wrong(report)),
        _section("Labels worth a second look", _labels(report)),
        _section("Right answers", _gallery(report.right)),
    ]
    return markup.page(title, "".join(parts), _STYLE)


def _capitalised(words: str) -> str:
    return words[:1].upper() + words[1:]


def _section(title: str, body: str) -> str:
    return f"<h2>{title}</h2>{body}" if body else ""


def _classes(report: "ModelReport") -> str:
    rows = "".join(
        f"<tr><td>{markup.text(c.name)}</td><td>{c.examples:,}</td><td>{_rate(c.recall)}</td>"
        f"<td>{_rate(c.precision)}</td><td>{c.f1:.2f}</td></tr>"
        for c in report.classes
    )
    return (
        "<div class='scroll'><table><tr><th>class</th><th>tested</th><th>found (recall)</th>"
        f"<th>right when named (precision)</th><th>F1</th></tr>{rows}</table></div>"
    )


def _rate(rate: float) -> str:
    return f"<span class='bar' style='width:{rate * 90:.0f}px'></span>{rate:.1%}"


def _confusion(report: "ModelReport") -> str:
    names, cells = [c.name for c in report.classes], report.confusion
    if len(names) > _MATRIX_CLASSES:
        pairs = sorted(
            (
                (count, names[right], names[given])
                for right, row in enumerate(cells)
                for given, count in enumerate(row)
                if count and right != given
            ),
            reverse=True,
        )
        rows = [(right, given, count) for count, right, given in pairs[:_PAIRS]]
        return markup.table(["is", "was taken for", "times"], rows)
    head = "".join(f"<th class='column'>{markup.text(name)}</th>" for name in names)
    body = "".join(
        f"<tr><th class='row'>{markup.text(name)}</th>"
        + "".join(_cell(count, sum(row), right == given) for given, count in enumerate(row))
        + "</tr>"
        for right, (name, row) in enumerate(zip(names, cells, strict=True))
    )
    return (
        "<p class='note'>A row for each class as it is, a column for each answer.</p>"
        f"<div class='scroll'><table class='matrix'><tr><th></th>{head}</tr>{body}</table></div>"
    )


def _cell(count: int, of_row: int, is_right: bool) -> str:
    share = count / max(of_row, 1)
    colour = "91,141,239" if is_right else "226,93,72"
    strength = 0.0 if not count else 0.12 + 0.75 * share
    shown = f"{count:,}" if count else "·"
    return f"<td style='background:rgba({colour},{strength:.2f})'>{shown}</td>"


def _calibration(report: "ModelReport") -> str:
    """The reliability diagram: on the diagonal, probabilities mean what they say."""
    size, left, top = 260, 44, 10
    dots = "".join(
        f"<circle cx='{left + size * part.confidence:.1f}' "
        f"cy='{top + size * (1 - part.accuracy):.1f}' "
        f"r='{3 + 9 * (part.examples / max(report.total, 1)) ** 0.5:.1f}' fill='#5b8def' "
        f"fill-opacity='.8'><title>{part.examples:,} answers</title></circle>"
        for part in report.calibration
    )
    marks = "".join(
        f"<text x='{left - 6}' y='{top + size * (1 - v) + 4:.0f}' text-anchor='end'>{v:.0%}</text>"
        f"<text x='{left + size * v:.0f}' y='{top + size + 16}' text-anchor='middle'>{v:.0%}</text>"
        for v in (0, 0.5, 1)
    )
    scaled = "temperature scaling did not help and was left out"
    if report.temperature != 1.0:
        scaled = (
            f"{report.ece_unscaled:.1%} before temperature scaling with {report.temperature:.2f}"
        )
    return (
        f"<p>On average its probability is {report.ece:.1%} away from how often it is right "
        f"(expected calibration error); {scaled}.</p>"
        f"<svg width='{left + size + 30}' height='{top + size + 42}' role='img' "
        "aria-label='confidence against accuracy'>"
        f"<line class='axis' x1='{left}' y1='{top + size}' x2='{left + size}' y2='{top}'/>"
        f"<path class='axis' fill='none' d='M{left} {top}V{top + size}H{left + size}'/>"
        f"{dots}{marks}"
        f"<text x='{left + size / 2}' y='{top + size + 36}' text-anchor='middle'>"
        "probability of the answer → how often it is right ↑</text></svg>"
    )


def _rejection(report: "ModelReport") -> str:
    if report.false_alarm_rate is None:
        return "<p>This model always names one of its classes.</p>"
    return (
        "<p>What is unlike everything it learnt from gets no label. Of the test examples, all of "
        f"its classes, {report.false_alarm_rate:.1%} were refused (false alarms).</p>"
    )


def _curves(epochs: Sequence[dict[str, Any]]) -> str:
    """Accuracy and loss of the validation part, epoch by epoch."""
    if len(epochs) < 2:
        return ""
    accuracy = [float(epoch["val_accuracy"]) for epoch in epochs]
    loss = [float(epoch["val_loss"]) for epoch in epochs]
    return (
        "<p class='note'>Epoch 0 is the solved head on frozen features.</p>"
        + _curve("validation accuracy", accuracy, "#5b8def", "{:.1%}")
        + _curve("validation loss", loss, "#e25d48", "{:.3f}")
    )


def _curve(name: str, values: Sequence[float], colour: str, form: str) -> str:
    width, height, left, top = 300, 120, 56, 22
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    points = [
        (
            left + width * index / max(len(values) - 1, 1),
            top + height * (1 - (value - low) / span),
        )
        for index, value in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(
        f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3' fill='{colour}'>"
        f"<title>epoch {index}: {form.format(value)}</title></circle>"
        for index, ((x, y), value) in enumerate(zip(points, values, strict=True))
    )
    return (
        f"<svg width='{left + width + 14}' height='{top + height + 26}' role='img' "
        f"aria-label='{name} by epoch'><text x='{left}' y='12'>{name}</text>"
        f"<path class='axis' fill='none' d='M{left} {top}V{top + height}H{left + width}'/>"
        f"<polyline points='{line}' fill='none' stroke='{colour}' stroke-width='2'/>{dots}"
        f"<text x='{left - 6}' y='{top + 5}' text-anchor='end'>{form.format(high)}</text>"
        f"<text x='{left - 6}' y='{top + height + 4}' text-anchor='end'>{form.format(low)}</text>"
        f"<text x='{left + width}' y='{top + height + 18}' text-anchor='end'>"
        f"epoch {len(values) - 1}</text></svg>"
    )


def _wrong(report: "ModelReport") -> str:
    """By the class that they are."""
    parts = []
    for figures in report.classes:
        mine = [one for one in report.wrong if one.right == figures.name]
        if mine:
            missed = round(figures.examples * (1 - figures.recall))
            shown = f"{missed:,} of {figures.examples:,}"
            if missed > len(mine):
                shown += f", {len(mine)} shown"
            parts.append(f"<h3>{markup.text(figures.name)}: {shown}</h3>{_gallery(mine)}")
    return _legend(report) + "".join(parts) if parts else ""


def _legend(report: "ModelReport") -> str:
    """How to read the explanations, where there are any."""
    whys = [one for one in report.wrong if one.confidence_without is not None]
    if not whys:
        return ""
    many = "The most confident is" if len(whys) == 1 else f"The {len(whys)} most confident are"
    sign = (
        "a <mark class='for strong'>filled</mark> word speaks most for the wrong answer, an "
        "<mark class='for'>underlined</mark> one less so, a <mark class='against'>dotted</mark> "
        "one against it"
        if whys[0].text
        else "on the second picture, what speaks for the wrong answer has kept its colours and "
        "most of that is outlined"
    )
    return (
        f"<p class='note'>{many} explained: {sign}. Each part was hidden in turn, and the model "
        "asked again.</p>"
    )


def _gallery(shown: Iterable["Shown"]) -> str:
    found = list(shown)
    if not found:
        return ""
    kind = "cards texts" if found[0].text else "cards"
    return f"<div class='{kind}'>{''.join(_card(one) for one in found)}</div>"


def _card(one: "Shown") -> str:
    says = f"<b>{markup.text(one.answer)}</b> {one.confidence:.0%}"
    if one.confidence_without is not None:
        says += f"; {one.confidence_without:.0%} without {_strongest(one)}"
    kind = " class='why'" if one.overlay else ""
    example = _example(one) if one.picture else f"<blockquote>{_marked(one)}</blockquote>"
    return _figure(one, says, example, kind)


def _figure(one: "Shown | LabelError", says: str, example: str, kind: str = "") -> str:
    name = markup.text(one.name.rsplit("/", 1)[-1])
    return (
        f"<figure{kind} title='{markup.plain(one.name)}'>{example}"
        f"<figcaption>{says}<br><span class='note'>{name}</span></figcaption></figure>"
    )


def _labels(report: "ModelReport") -> str:
    """What the other examples say against labels, of the whole data set."""
    check = report.labels
    if not check.examined:
        return ""
    if not check.errors:
        return f"<p>None of the {check.examined:,} labels stands out.</p>"
    shown = check.errors[:_LABELS]
    listed = f"; the {len(shown)} most doubtful are shown" if check.found > len(shown) else ""
    kind = "cards texts" if shown[0].text else "cards"
    return (
        f"<p>Of {check.examined:,} labels, training and test part together, {check.found:,} may be "
        f"wrong{listed}. Each was judged by a model that had learnt from the other examples only "
        "(confident learning). Some will be right, and hard: nothing was changed.</p>"
        f"<div class='{kind}'>{''.join(_doubtful(error) for error in shown)}</div>"
    )


def _doubtful(error: "LabelError") -> str:
    where = " <span class='note'>(test)</span>" if error.split == "test" else ""
    example = (
        _picture(error) if error.picture else f"<blockquote>{markup.text(error.text)}</blockquote>"
    )
    return _figure(
        error,
        f"labelled <b>{markup.text(error.given)}</b>{where}<br>looks like "
        f"<b>{markup.text(error.likelier)}</b> {error.likelier_probability:.0%}",
        example,
    )


def _strongest(one: "Shown") -> str:
    if not one.words:
        return "its strongest part"
    word = max(one.words, key=lambda word: word.weight)
    return f"“{markup.text(word.text)}”"


def _picture(one: "Shown | LabelError") -> str:
    return f"<img src='{one.picture}' alt='{markup.plain(one.name)}' loading='lazy'>"


def _example(one: "Shown") -> str:
    picture = _picture(one)
    if not one.overlay:
        return picture
    drawn = f"<img src='{one.overlay}' alt='why {markup.plain(one.answer)}' loading='lazy'>"
    return f"<div class='pair'>{picture}{drawn}</div>"


def _marked(one: "Shown") -> str:
    """The text with the words that matter marked; their weights show when pointed at."""
    parts, done = [], 0
    for word in one.words:
        if abs(word.weight) >= _LEAST_WEIGHT:
            kind = "against" if word.weight < 0 else "for"
            kind += " strong" if word.weight >= _STRONG_WEIGHT else ""
            parts.append(markup.plain(one.text[done : word.start]))
            inner = markup.plain(one.text[word.start : word.end])
            parts.append(f"<mark class='{kind}' title='{word.weight:+.2f}'>{inner}</mark>")
            done = word.end
    return f"<bdi>{''.join(parts)}{markup.plain(one.text[done:])}</bdi>"
