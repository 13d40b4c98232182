"""The list of models in the shape of the dialect that asks."""

from ai_gateway.services.models import ListedModel


def openai_list(listed: list[ListedModel]) -> dict[str, object]:
    data = [
        {"id": row.model, "object": "model", "created": 0, "owned_by": row.provider}
        for row in listed
    ]
    return {"object": "list", "data": data}


def anthropic_list(listed: list[ListedModel]) -> dict[str, object]:
    data = [
        {
            "type": "model",
            "id": row.model,
            "display_name": row.model,
            "created_at": "1970-01-01T00:00:00Z",
        }
        for row in listed
    ]
    return {
        "data": data,
        "has_more": False,
        "first_id": listed[0].model if listed else None,
        "last_id": listed[-1].model if listed else None,
    }
