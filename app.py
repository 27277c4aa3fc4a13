"""Which code answers which event; the rest is in chalicelib."""

import os

from chalice import Chalice

from chalicelib.api.routes import routes


def _register_functions() -> None:
    from chalicelib.functions.dialer import dialer_function
    from chalicelib.functions.pacer import pacer_function
    from chalicelib.functions.settler import settler_function

    app.register_blueprint(pacer_function)
    app.register_blueprint(dialer_function)
    app.register_blueprint(settler_function)


app = Chalice(app_name="callpacer", configure_logs=False)
app.register_blueprint(routes)
# In Lambda this module is the API's function alone. What the others import would make its start half as long again.
if "AWS_LAMBDA_FUNCTION_NAME" not in os.environ:
    _register_functions()
