"""Thumbs that the person gives single completions, wherever these are shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from workbench.store.home import StoreError
from workbench.store.judged import Thumb, completion_digest

if TYPE_CHECKING:
    from workbench.store.store import Store


class Thumbs(QObject):
    """Those of one person in one set; ``changed`` tells that there are others now."""

    changed = Signal()
    message = Signal(str, str)

    def __init__(self, parent: QObject, store: Store, set_name: Callable[[], str],
                 person: Callable[[], str]) -> None:
        """``set_name`` is the set that thumbs are put into, ``person`` whose they are."""
        super().__init__(parent)
        self._store, self._set_name, self._person = store, set_name, person
        self._known: dict[str, bool] | None = None

    @property
    def person(self) -> str:
        """Whose they are."""
        return self._person()

    def of(self, prompt: str, completion: str) -> bool | None:
        """Return whether the thumb on a completion is up; None: there is none."""
        if self._known is None:
            found = self._store.judgements.set(self._set_name())
            self._known = {} if found is None else self._store.judgements.thumbs_of(
                found.id, self._person())
        return self._known.get(completion_digest(prompt, completion)) if self._known else None

    def give(self, thumb: Thumb) -> None:
        """Record a thumb; the same again takes it away."""
        before = self.of(thumb.prompt, thumb.completion.text)
        judgements, away = self._store.judgements, before is thumb.up
        try:
            set_id = judgements.make_set(self._set_name()).result()
            judgements.thumb(set_id, thumb, away=away).result()
        except StoreError as error:
            self.message.emit("error", str(error))
            return
        known = dict(self._known or {})
        if away:
            known.pop(thumb.digest, None)
        else:
            known[thumb.digest] = thumb.up
        self._known = known
        where = f"in “{self._set_name()}”"
        self.message.emit("info", f"Thumb taken back {where}." if away else
                          f"Thumbs {'up' if thumb.up else 'down'} kept {where}.")
        self.changed.emit()

    def forget(self) -> None:
        """Read anew: the set or the person is another."""
        self._known = None
        self.changed.emit()
