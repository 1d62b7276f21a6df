"""The keys of a decision as the API answers it: the words of `openapi.json`, and of the table in docs/service.md."""

from __future__ import annotations

from typing import Any

from propensity.policy import codes
from propensity_serving.answering import DECIDED, REJECTED
from propensity_serving.described import OPTIONAL_NUMBER, OPTIONAL_TEXT

_TEXT, _TIME = {"type": "string"}, {"type": "string", "format": "date-time"}
_OPTIONAL_TIME = {"type": ["string", "null"], "format": "date-time"}


def _said(kind: dict[str, Any], description: str, **more: Any) -> dict[str, Any]:
    return {**kind, **more, "description": description}


def _one_of(*words: str | None) -> dict[str, Any]:
    return {"type": ["string", "null"] if None in words else "string", "enum": list(words)}


DECISION_FIELDS: dict[str, dict[str, Any]] = {
    "status": _said(_one_of(DECIDED, REJECTED), "whether this customer was decided on"),
    "error": _said(_TEXT, "why a customer was rejected; then there is nothing more than customer_id"),
    "decision_id": _said(
        OPTIONAL_TEXT,
        "the same for the same customer, campaign and window; goes into reports; null where nothing is recorded",
    ),
    "customer_id": _said(OPTIONAL_TEXT, "who was asked about"),
    "campaign": _said(_TEXT, "that the decision belongs to"),
    "send": _said({"type": "boolean"}, "whether to contact this person"),
    "action": _said(_TEXT, "label of the action in the playbook; control is no contact"),
    "archetype": _said(OPTIONAL_TEXT, "kind of message; null where nothing is sent, as channel and offer are"),
    "channel": _said(OPTIONAL_TEXT, "how the message travels"),
    "offer": _said(OPTIONAL_TEXT, "what is put on the table"),
    "assignment": _said(_one_of(*codes.ASSIGNMENTS), "how the action came about"),
    "probability": _said({"type": "number"}, "chance of this action under the rule that drew it"),
    "reason_codes": _said({"type": "array", "items": _TEXT}, "why, the main reason first"),
    "reactivation_propensity": _said(OPTIONAL_NUMBER, "chance of coming back without contact"),
    "uplift": _said(OPTIONAL_NUMBER, "what contact adds to that chance"),
    "uplift_low": _said(OPTIONAL_NUMBER, "lower end of its 95 % interval"),
    "uplift_high": _said(OPTIONAL_NUMBER, "upper end of its 95 % interval"),
    "expected_revenue": _said(OPTIONAL_NUMBER, "extra revenue, currency a person"),
    "cost": _said(OPTIONAL_NUMBER, "of sending, currency"),
    "net_value": _said(OPTIONAL_NUMBER, "what the contact is worth after all costs, currency a person"),
    "reason_for_churn": _said(OPTIONAL_TEXT, "why they left; null where nobody stated it and no model is sure"),
    "archetype_probability": _said(OPTIONAL_NUMBER, "how sure that reason, and with it the archetype, is"),
    "not_before": _said(_TIME, "the message may go out from then on"),
    "expires_at": _said(_TIME, "until then the decision holds: the end of its window; soon where the ledger is away"),
    "brief": _said(OPTIONAL_TEXT, "id of the brief that the message is made by"),
    "model_version": _said(_TEXT, "the model that decided"),
    "playbook_version": _said(_TEXT, "the playbook that it decided by: a hash of its content"),
    "feature_as_of": _said(_OPTIONAL_TIME, "as of when the customer's columns were true"),
    "would_have_sent": _said(_TEXT, "what this person would get if nobody were held out or tried"),
    "reason_source": _said(
        _one_of("stated", "text", "predicted", "fallback"),
        "where reason_for_churn is from: stated, what they wrote, a model, or nothing known",
    ),
    "archetype_by": _said(
        _one_of(*codes.ARCHETYPE_BY, None),
        "whether the reason for churn calls for this archetype too, or measured effects alone do",
    ),
    "alternative": _said(OPTIONAL_TEXT, "the next best action that this person may get"),
    "alternative_net_value": _said(OPTIONAL_NUMBER, "what that is worth, currency a person"),
    "alternative_lost": _said(_one_of(*codes.ALTERNATIVE_LOST, None), "why the alternative was not chosen"),
    "touch": _said({"type": "integer"}, "number of this contact with this person in the campaign; 0: none yet"),
    "next_action": _said(OPTIONAL_TEXT, "what follows if this brings no answer"),
    "next_not_before": _said(_OPTIONAL_TIME, "when that may go out at the earliest"),
    "contact_at": _said(_TIME, "when it best goes out; not_before where no time is known to be better"),
    "explanation": _said(_TEXT, "the decision in words, where the request says explain"),
}
