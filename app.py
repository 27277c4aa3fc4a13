"""The Chalice app: which function answers which event. The code itself is in chalicelib."""

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
# In Lambda only the API's function imports this module. The imports of the other functions would make its start half as
# long again.
if "AWS_LAMBDA_FUNCTION_NAME" not in os.environ:
    _register_functions()
