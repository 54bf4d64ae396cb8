import azure.functions as func
from durable_blueprints import bp
app = func.FunctionApp()
app.register_functions(bp)
