"""What the reference shows of the entity context, in one entity; `Counter` is the one its orchestrators call."""

import azure.durable_functions as df

bp = df.Blueprint()


@bp.entity_trigger(context_name="context")
def EntityName(context: df.EntityContext):
    default_value = {"times": 0}
    state = context.get_state(lambda: default_value)
    new_state = {"times": state["times"] + 1}
    context.set_state(new_state)
    input_value = context.get_input()
    entity_id = df.EntityId("EntityName", "entityKey")

    # Properties
    entity_id.name  # "EntityName"
    entity_id.key   # "entityKey"
    same = [context.entity_name, context.entity_key] == [entity_id.name.lower(), entity_id.key]
    result_value = [context.operation_name, str(context.entity_id), same, new_state["times"], input_value]
    if context.operation_name == "tell":
        input_data = input_value
        context.signal_entity(
            df.EntityId("OtherEntity", "key"),
            "operation",
            input_data
        )
    context.set_result(result_value)


@bp.entity_trigger()
def OtherEntity(context):
    if context.operation_name == "operation":
        context.set_state(context.get_input())


@bp.entity_trigger()
def Counter(context):
    value = context.get_state(lambda: 0)
    if context.operation_name == "add":
        value += context.get_input()
        context.set_state(value)
    context.set_result(value)


@bp.orchestration_trigger()
def asks_entity_name(context):
    operation, value = context.get_input()
    return (yield context.call_entity(df.EntityId("EntityName", "entityKey"), operation, value))
