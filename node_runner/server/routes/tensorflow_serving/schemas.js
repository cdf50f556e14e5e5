'use strict';

const { array, number, object, text } = require('../../description');

const IMAGE = object({ b64: { type: 'string', description: 'The bytes of an image file in base64.' } });
const PIXELS = { ...array(array(array(number))), description: 'Rows of pixels of three numbers.' };
const FIELDS = object({ image_bytes: IMAGE, preprocessed: PIXELS, pixels: PIXELS }, []);
const ROW = { anyOf: [IMAGE, FIELDS, PIXELS] };

const PREDICT_REQUEST = {
  $id: 'PredictRequest',
  type: 'object',
  properties: {
    signature_name: { enum: ['serving_default', 'preprocessed', 'pixels'] },
    instances: array(ROW),
    inputs: { anyOf: [array(ROW), { type: 'object' }] },
  },
  oneOf: [{ required: ['instances'] }, { required: ['inputs'] }],
};
const PREDICT_RESPONSE = {
  $id: 'PredictResponse',
  type: 'object',
  properties: { predictions: array(array(number)), outputs: array(array(number)) },
};
const CLASSIFY_REQUEST = {
  $id: 'ClassifyRequest',
  ...object({ signature_name: text, context: FIELDS, examples: array({ anyOf: [IMAGE, FIELDS] }) }, ['examples']),
};
const CLASSIFY_RESPONSE = { $id: 'ClassifyResponse', ...object({ result: array(array({ type: 'array', prefixItems: [text, number] })) }) };

module.exports = { SCHEMAS: [PREDICT_REQUEST, PREDICT_RESPONSE, CLASSIFY_REQUEST, CLASSIFY_RESPONSE] };
