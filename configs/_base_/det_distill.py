# What stock configs of mmdetection lack where they get a teacher.
custom_imports = dict(imports=['mmkd'], allow_failed_imports=False)
custom_hooks = [dict(type='mmkd.ExportStudentHook')]
randomness = dict(seed=0)
