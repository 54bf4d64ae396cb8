def main(name: str) -> str:
    return f"Hello Activity: {name}!"
