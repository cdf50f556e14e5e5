'use strict';

const { array, number, object, text } = require('../../description');

const IMAGE = object({ b64: { type: 'string', description: 'The bytes of an image file in base64.' } });
const PIXELS = { ...array(array(array(number))), description: 'Rows of pixels of three numbers.' };
const FIELDS = object({ image_bytes: IMAGE, preprocessed: PIXELS, pixels: PIXELS }, []);
/** Of a model that takes tensors: numbers or nested arrays of them, or an object of these by the names of inputs or outputs. */
const TENSORS = { description: 'A tensor, or tensors by name.' };
const ROW = { anyOf: [IMAGE, FIELDS, PIXELS] };

const PREDICT_REQUEST = {
  $id: 'PredictRequest',
  type: 'object',
  properties: {
    signature_name: { ...text, description: 'Of a classifier serving_default, preprocessed or pixels; else one of the metadata.' },
    instances: { ...array({ anyOf: [ROW, TENSORS] }), minItems: 1 },
    inputs: { anyOf: [array(ROW), { type: 'object' }, TENSORS] },
  },
  oneOf: [{ required: ['instances'] }, { required: ['inputs'] }],
};
const PREDICT_RESPONSE = {
  $id: 'PredictResponse',
  type: 'object',
  properties: { predictions: array(TENSORS), outputs: TENSORS },
};
const CLASSIFY_REQUEST = {
  $id: 'ClassifyRequest',
  ...object({ signature_name: text, context: FIELDS, examples: array({ anyOf: [IMAGE, FIELDS] }) }, ['examples']),
};
const REGRESS_REQUEST = { $id: 'RegressRequest', ...object({ signature_name: text, context: { type: 'object' }, examples: array({ type: 'object' }) }, ['examples']) };
const REGRESS_RESPONSE = { $id: 'RegressResponse', ...object({ result: array(number) }) };
const CLASSIFY_RESPONSE = { $id: 'ClassifyResponse', ...object({ result: array(array({ type: 'array', prefixItems: [text, number] })) }) };

module.exports = { SCHEMAS: [PREDICT_REQUEST, PREDICT_RESPONSE, CLASSIFY_REQUEST, CLASSIFY_RESPONSE, REGRESS_REQUEST, REGRESS_RESPONSE] };
