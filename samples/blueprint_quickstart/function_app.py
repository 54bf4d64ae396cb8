import azure.functions as func

import plain_functions as plain_functions  # its functions register themselves
from durable_blueprints import bp

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(bp)
