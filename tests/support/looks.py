"""What a page looks like: a picture of it, and whether everybody can use what is on it."""

from tests.support.browser import REACT, Person

AXE = REACT / "node_modules" / "axe-core" / "axe.min.js"
_FINDINGS = """async () => (await axe.run(document, { resultTypes: ['violations'] })).violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`)"""
_WIDTHS = "[document.scrollingElement.scrollWidth, window.innerWidth]"


async def check(person: Person, name: str) -> None:
    """Take the picture; assert that everybody can use what is on it."""
    await person.picture(name)
    await person.page.evaluate(AXE.read_text())
    assert await person.page.evaluate(_FINDINGS) == []
    needed, there = await person.page.evaluate(_WIDTHS)
    assert needed <= there, "it scrolls sideways"
    assert person.violations == person.failures == []
