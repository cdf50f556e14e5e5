'use strict';

const { array, object, text } = require('../../description');

const TENSOR = { name: text, datatype: text, shape: array({ type: 'integer' }), parameters: { type: 'object' }, data: { type: 'array' } };

const INFER_REQUEST = {
  $id: 'InferRequest',
  ...object(
    { id: text, parameters: { type: 'object' }, inputs: array(object(TENSOR, ['name', 'datatype', 'shape'])), outputs: array(object(TENSOR, ['name'])) },
    ['inputs'],
  ),
};
const INFER_RESPONSE = {
  $id: 'InferResponse',
  ...object({ model_name: text, model_version: text, id: text, outputs: array(object(TENSOR, ['name', 'datatype', 'shape'])) }, [
    'model_name',
    'model_version',
    'outputs',
  ]),
};

module.exports = { SCHEMAS: [INFER_REQUEST, INFER_RESPONSE] };
