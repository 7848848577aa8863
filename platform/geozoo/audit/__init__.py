"""Auditing: members trained anew from recipe and seed, and compared with what a zoo stores."""

from geozoo.audit.audit import Audit, prepare_audit
from geozoo.audit.chance import Chance, chances, draw_members
from geozoo.audit.outcome import MemberOutcome

__all__ = ["Audit", "Chance", "MemberOutcome", "chances", "draw_members", "prepare_audit"]
