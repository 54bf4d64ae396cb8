import azure.durable_functions as df
import azure.functions as func

import clients
import entities
import one_argument
import steps
import two_arguments

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.configure_scheduled_tasks()
for module in (clients, entities, one_argument, steps, two_arguments):
    app.register_functions(module.bp)
