"""`perdure new` and `perdure templates list` (cli.md §5)."""

import re
import sys
from pathlib import Path

import click

from perdure.cli.exit_codes import FAILURE, USAGE
from perdure.cli.grammar import CONTEXT, ForgivingCommand, ForgivingGroup
from perdure.cli.output import fail, print_json
from perdure.cli.project.init_command import Project, write_project
from perdure.cli.project.source_files import NotAnApp, read_source, with_function
from perdure.cli.project.template import Template, code_of, function_json
from perdure.cli.project.templates import TEMPLATES, template_named
from perdure.cli.project.written import Written

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,126}[a-zA-Z0-9]")
_APP_FILE = "function_app.py"
_FUNCTIONS = "import azure.functions as func"
_DURABLE = "import azure.durable_functions as df"


@click.command("new", cls=ForgivingCommand, context_settings=CONTEXT)
@click.option("-t", "--template", "template_name", help="The kind of function; see: perdure templates list")
@click.option("-n", "--name", help="The function's name.")
@click.option("-f", "--file", "file_name", help=f"v2: the file that takes it.  [default: {_APP_FILE}]")
@click.option("-a", "--authlevel", type=click.Choice(["function", "anonymous", "admin"], case_sensitive=False),
              default="function", show_default=True, help="Who may call an HTTP function.")  # fmt: skip
@click.option("-l", "--language", help="python; there is no other here.")
@click.option("--script-root", type=click.Path(path_type=Path), help="The app's folder.  [default: here]")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
def new(
    template_name: str | None,
    name: str | None,
    file_name: str | None,
    authlevel: str,
    language: str | None,
    script_root: Path | None,
    as_json: bool,
) -> None:
    """Add a function to the app.

    Example: perdure new --template "Durable Functions orchestrator" --name ship_order
    """
    if language is not None and language.lower() not in ("python", "py"):
        fail(f"--language: perdure runs Python apps, not '{language}'.", USAGE)
    template = _template(template_name)
    name = _name(name, template)
    done = Written((script_root or Path()).absolute())
    try:
        if not (done.root / "local.settings.json").exists() and not (done.root / _APP_FILE).exists():
            write_project(done, Project())
        if (done.root / _APP_FILE).exists():
            _add_to_file(done, file_name or _APP_FILE, template, name, authlevel)
        elif file_name is not None:
            fail("--file is for apps of the v2 model; here each function has a folder.", USAGE)
        else:
            _add_folder(done, template, name, authlevel)
    except OSError as error:
        fail(f"{error.filename} cannot be written: {error.strerror}.", FAILURE)
    if template.is_foreign:
        done.lines.append(f"Its trigger exists in Azure only; here it is run by hand: POST /admin/functions/{name}")
    done.lines.append(f"The function '{name}' was made from the template '{template.title}'.")
    done.tell(as_json=as_json, function=name, template=template.title)


def _template(said: str | None) -> Template:
    if said is None:
        titles = [template.title for template in TEMPLATES]
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            fail(f"--template is needed where nobody can be asked. There are: {', '.join(titles)}.", USAGE)
        for number, title in enumerate(titles, 1):
            click.echo(f"{number}. {title}")
        return TEMPLATES[click.prompt("Template", type=click.IntRange(1, len(TEMPLATES))) - 1]
    found = template_named(said)
    if found is None:
        titles = ", ".join(template.title for template in TEMPLATES)
        fail(f"There is no template '{said}'. There are: {titles}.", USAGE)
    return found


def _name(said: str | None, template: Template) -> str:
    if said is None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            fail("--name is needed where nobody can be asked.", USAGE)
        said = click.prompt("Function name", default=template.default_name, type=str)
    if not _NAME.fullmatch(said):
        fail(f"'{said}' is no function name: a letter, then letters, digits and '_', at the end no '_'.", USAGE)
    return said


def _add_to_file(done: Written, file_name: str, template: Template, name: str, auth: str) -> None:
    if not file_name.endswith(".py"):
        file_name += ".py"
    place = done.root / file_name
    is_new = not place.exists()
    durable = _DURABLE in template.imports
    head = f"{_DURABLE if durable else _FUNCTIONS}\n\nbp = {'df' if durable else 'func'}.Blueprint()\n"
    try:
        source = read_source(head if is_new else place.read_text("utf-8-sig"), file_name)
    except NotAnApp as error:
        fail(str(error), FAILURE)
    if name in source.names:
        fail(f"{file_name} has a function '{name}' already.", FAILURE)
    code = code_of(template, app=source.app, name=name, auth=auth)
    needed = tuple(line for line, alias in ((_DURABLE, "df."), (_FUNCTIONS, "func.")) if alias in code)
    others = tuple(line for line in template.imports if line != _DURABLE)
    text = with_function(source, code, (*others, *needed))
    if not is_new:
        done.extend(file_name, text)
        return
    done.put(file_name, text)
    module = file_name.removesuffix(".py").replace("/", ".")
    done.lines += [
        f"{file_name} is a new blueprint. Register it in {_APP_FILE}:",
        f"    from {module} import bp",
        "    app.register_functions(bp)",
    ]


def _add_folder(done: Written, template: Template, name: str, auth: str) -> None:
    if (done.root / name).exists():
        fail(f"There is a folder '{name}' already.", FAILURE)
    done.put(f"{name}/__init__.py", template.module)
    done.put(f"{name}/function.json", function_json(template, auth=auth))


@click.group("templates", cls=ForgivingGroup, context_settings=CONTEXT)
def templates() -> None:
    """The kinds of functions that can be added.

    Example: perdure templates list
    """


@templates.command("list", cls=ForgivingCommand)
@click.option("-l", "--language", help="python; there is no other here.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
def list_templates(language: str | None, as_json: bool) -> None:
    """List the templates.

    Example: perdure templates list
    """
    if language is not None and language.lower() not in ("python", "py"):
        fail(f"--language: there are templates for Python only, not for '{language}'.", USAGE)
    titles = [template.title for template in TEMPLATES]
    if as_json:
        print_json({"Python": titles})
        return
    click.echo("Python Templates:")
    for title in titles:
        click.echo(f"  {title}")
