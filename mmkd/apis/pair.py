"""The two networks, and whether a method can compare them."""

from __future__ import annotations

from dataclasses import dataclass

from mmkd.apis.places import Place, Places
from mmkd.apis.tasks import CLASSES


class DoesNotFitError(ValueError):
    """A method cannot compare these two networks; says why."""


@dataclass
class Pair:
    """The two networks, as their places say.

    Args:
        task: what both do.
        student, teacher: their places.
        classes: those of the student when it is trained on the data.
    """

    task: str
    student: Places
    teacher: Places
    classes: int | None

    def both(self, name: str, what: str) -> tuple[Place, Place]:
        """Return the places called ``name`` of both.

        Raises:
            DoesNotFitError: one has none.
        """
        for role, places in self._sides():
            if name not in places.found:
                raise DoesNotFitError(
                    f'the {role} (head {places.kind}) gives no {what}'
                )
        return self.student.found[name], self.teacher.found[name]

    def _sides(self) -> list[tuple[str, Places]]:
        return [('student', self.student), ('teacher', self.teacher)]

    def outputs(self) -> tuple[Place, Place]:
        """Return the outputs of both, of the same classes.

        Raises:
            DoesNotFitError: they cannot be compared.
        """
        found = self.both('logits', 'output that can be compared')
        if self.student.kind != self.teacher.kind:
            raise DoesNotFitError(
                f'the student gives {self.student.kind} and the teacher '
                f'{self.teacher.kind}'
            )
        if self.classes != self.teacher.classes:
            raise DoesNotFitError(
                f'the teacher knows {self.teacher.classes} '
                f'{CLASSES[self.task]}, the student learns {self.classes}'
            )
        return found
