"""A text classifier as a web service: `python -m course_utils.service FOLDER`, and lesson 13 explains it.

`predictor` turns texts into answers, `batching` joins what has come in while the model was busy, `app` speaks
HTTP. It needs the extra `service`: `pip install -e .[service]`.
"""
