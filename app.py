"""Which code answers which event; the rest is in chalicelib."""

from chalice import Chalice

from chalicelib.api.routes import routes
from chalicelib.functions.dialer import dialer_function
from chalicelib.functions.pacer import pacer_function
from chalicelib.functions.settler import settler_function

app = Chalice(app_name="callpacer", configure_logs=False)
app.register_blueprint(routes)
app.register_blueprint(pacer_function)
app.register_blueprint(dialer_function)
app.register_blueprint(settler_function)
