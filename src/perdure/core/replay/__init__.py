"""The orchestrator's side: code is driven by history events and asks for actions."""
